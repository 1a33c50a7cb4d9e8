"""Analyses of spikes, alone and with fields: one trial of all cells at a time."""
