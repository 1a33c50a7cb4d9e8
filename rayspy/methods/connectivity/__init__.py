"""Measures of pairs and groups of channels as values: what is to be computed from sums over trials."""
