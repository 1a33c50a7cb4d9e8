"""Front-end `freqanalysis`, and the parameters of its methods: checked, resolved, one builder per method."""
