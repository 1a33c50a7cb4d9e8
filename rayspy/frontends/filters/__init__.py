"""Front-ends whose results are signals again."""
