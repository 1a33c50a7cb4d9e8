"""Methods of statistics: within trials, over relabelled observations, around events."""
