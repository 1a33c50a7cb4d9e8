"""Spike trains of single trials: counts, intervals, correlograms, densities, and signals at spikes.

Samples are whole numbers that ascend, cells are numbers from 0 on; every function
takes one trial and knows nothing of files, trials or units of time.
"""
