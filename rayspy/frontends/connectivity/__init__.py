"""Parameters of `connectivityanalysis`."""
