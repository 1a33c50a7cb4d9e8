"""Executors: local threads, Ray actors. All call the same `run_block`."""
