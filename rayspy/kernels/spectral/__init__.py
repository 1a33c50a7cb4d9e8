"""Spectra: tapers, windows, wavelets, banks of filters, parametric models."""
