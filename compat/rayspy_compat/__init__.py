"""Dask for rayspy: attach to a running Dask client, set up clusters, run old Syncopy scripts.

Importing this package imports neither dask nor Ray.
"""

from __future__ import annotations

from rayspy_compat.alias import install_as_syncopy as install_as_syncopy

__all__ = ["install_as_syncopy"]
