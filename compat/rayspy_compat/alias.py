"""x."""

from __future__ import annotations


def install_as_syncopy() -> None:
    """X."""
