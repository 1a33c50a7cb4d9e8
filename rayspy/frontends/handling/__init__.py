"""Front-ends that select, cut, copy, join and calculate with data objects."""
