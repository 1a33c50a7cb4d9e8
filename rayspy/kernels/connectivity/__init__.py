"""Measures of how pairs and groups of channels belong together: array functions."""
