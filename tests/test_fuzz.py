"""Damaged and forged files, a fixed number of them: an error of ours, or what was written."""

from pathlib import Path

import pytest

from tests import fuzz
from tests.fuzz_recordings import NEEDS


def test_nothing_gets_in(tmp_path: Path) -> None:
    assert not list(fuzz.faults(range(400), tmp_path, fuzz.TARGETS))


@pytest.mark.parametrize("name", fuzz.RECORDINGS)
def test_nothing_gets_in_with_recordings(name: str, tmp_path: Path) -> None:
    pytest.importorskip(NEEDS.get(name, "rayspy"))
    assert not list(fuzz.faults(range(28), tmp_path, {name: fuzz.RECORDINGS[name]}))
