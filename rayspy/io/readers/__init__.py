"""Recordings of other programs: one file per format, each of which makes a `Recording`."""
