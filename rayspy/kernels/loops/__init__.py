"""Loops over numbers that are compiled (Numba) for the processor they run on.

Numba takes a third of a second to import, so these modules are imported where
their functions are called. A function calls compiled functions of its own file
only: what Numba keeps on disk is renewed when that file changes, not when
another one does.
"""
