"""rayspy inside a running Dask cluster, and under Syncopy's name."""
