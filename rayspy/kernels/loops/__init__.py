"""Loops over numbers that are compiled (Numba) for the processor they run on.

Numba takes a third of a second to import, so these modules are imported where
their functions are called. What Numba keeps on disk is renewed when any file of
this folder changes: see `compiling`.
"""
