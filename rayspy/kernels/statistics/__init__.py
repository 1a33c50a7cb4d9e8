"""Tests by relabelling: draws, statistics, clusters, p values."""
