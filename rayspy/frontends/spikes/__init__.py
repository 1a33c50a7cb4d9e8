"""Front-ends for spikes, and for spikes with fields."""
