"""Damaged and forged files, a fixed number of them: an error of ours, or what was written."""

from pathlib import Path

from tests import fuzz


def test_nothing_gets_in(tmp_path: Path) -> None:
    assert not list(fuzz.faults(range(400), tmp_path, fuzz.TARGETS))


def test_nothing_gets_in_with_recordings(tmp_path: Path) -> None:
    assert not list(fuzz.faults(range(500), tmp_path, fuzz.RECORDINGS))
