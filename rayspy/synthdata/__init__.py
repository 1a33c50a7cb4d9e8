"""Synthetic data with known properties."""
