"""Methods whose results are signals again."""
