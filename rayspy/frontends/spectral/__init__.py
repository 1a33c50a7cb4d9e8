"""Parameters of the methods of `freqanalysis`: checked, resolved, one builder per method."""
