"""Signals in, signals out: filters, trends, references, other rates."""
