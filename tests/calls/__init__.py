"""Odd calls of everything public, generated from signatures; see `campaign`."""
