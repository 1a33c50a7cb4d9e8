"""Files of other programs: one file per format."""
