"""Methods whose results are spectra."""
