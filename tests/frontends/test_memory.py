"""Handling of recordings in files needs little memory, whatever their size."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rayspy as spy

ROWS, CHANNELS = 3_200_000, 64
BOUND = 60 * 2**20
"""Bytes above the start, for an int16 recording of 410 MB."""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A large recording; its file has no contents, which read as zeros, but for one value."""
    path = tmp_path_factory.mktemp("large") / "x.raw"
    with path.open("wb") as stream:
        stream.truncate(ROWS * CHANNELS * 2)
        stream.seek((ROWS - 1) * CHANNELS * 2)
        stream.write(np.int16(7).tobytes())
    return path


def recording(file: Path, n_trials: int) -> spy.AnalogData:
    edges = np.linspace(0, ROWS, n_trials + 1).astype(int)
    trl = np.column_stack([edges[:-1], edges[1:], np.full(n_trials, -10)])
    return spy.AnalogData(spy.raw_binary(file, "int16", CHANNELS), samplerate=1000, trialdefinition=trl)


FUNCTIONS: dict[str, tuple[Callable[[Any], Any], float]] = {
    "scalar": (lambda data: data - np.int8(1), 6),
    "object": (lambda data: data + data, 14),
    "concat": (lambda data: spy.concat(selected(data, [0]), selected(data, [1])), 7),
    "redefinetrial": (lambda data: spy.redefinetrial(data, begsample=5, endsample=300), 7),
    "minlength": (lambda data: spy.redefinetrial(data, minlength=0.1), 7),
    "selectdata": (
        lambda data: spy.selectdata(data, channel=[63, 0], trials=list(range(len(data)))[::-1]),
        0,
    ),
    "rereference": (lambda data: spy.rereference(data, select={"channel": [0, 1, 2]}), 14 / 3),
    "baseline": (lambda data: spy.baseline(data, (None, 0), select={"channel": [0, 1, 2]}), 7),
    "equal": (lambda data: data == twin_of(data), True),
}


def twin_of(data: spy.AnalogData) -> spy.AnalogData:
    raw = spy.raw_binary(data.filename, "int16", CHANNELS)
    return spy.AnalogData(raw, samplerate=1000, trialdefinition=data.trialdefinition)


def selected(data: spy.AnalogData, channel: list[int]) -> spy.AnalogData:
    twin = data.copy()
    twin.selection = {"channel": channel}
    return twin


@pytest.mark.parametrize("n_trials", [1, 5000])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_memory_is_bounded(name: str, n_trials: int, file: Path) -> None:
    function, last = FUNCTIONS[name]
    data = recording(file, n_trials)
    with spy.config.using(num_cpus=2, inmemory_bytes=2**20, block_bytes=4 * 2**20):
        tracemalloc.start()
        try:
            found = function(data)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < BOUND
    if name == "equal":
        assert found is True
    elif name == "selectdata":
        assert found.data.shape == (ROWS, 2)
    elif name not in ("redefinetrial",):
        assert found.data[ROWS - 1, 0] == pytest.approx(last)
