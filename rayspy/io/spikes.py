"""Spikes from times per unit, pandas tables and Kilosort/phy folders, and back."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.checks import check_bool, check_choice, check_path, check_scalar
from rayspy.data.builder import StackWriter
from rayspy.data.spike import SpikeData
from rayspy.errors import DamagedDataError, InvalidTypeError, InvalidValueError, PathError
from rayspy.storage.sources import ArraySource

Array = NDArray[Any]
_UNITS = ("s", "samples")
_BLOCK_ROWS = 2**20


def spikes_from_times(
    times: Mapping[str, Any] | Sequence[Any],
    samplerate: float,
    unit: Sequence[str] | None = None,
    channel: Sequence[str] | None = None,
    time_unit: str = "s",
    trialdefinition: Array | None = None,
) -> SpikeData:
    """Make spikes from arrays of times, one per unit.

    Parameters
    ----------
    times : dict of str to array, or list of array
        Ascending times of each unit since the start of the recording. Units without
        spikes are kept as silent ones.
    samplerate : float
        Samples per second (Hz) of the recording; times become the nearest samples.
    unit : list of str, optional
        Names of the units; those of a dictionary are its keys.
    channel : list of str, optional
        Channel of each unit; one channel for all if left out.
    time_unit : {'s', 'samples'}
        What the times are in.
    trialdefinition : ndarray, optional
        As of `SpikeData`.

    Returns
    -------
    SpikeData

    Raises
    ------
    InvalidTypeError, InvalidValueError
        Times are not ascending, negative or no numbers, two spikes of a unit are at
        the same sample, there are no spikes at all, or names do not fit.

    Examples
    --------
    >>> import rayspy as spy
    >>> spikes = spy.spikes_from_times({"a": [0.01, 0.02], "b": [0.015]}, samplerate=1000)
    >>> spikes.sample.tolist(), spikes.unit.tolist()
    ([10, 15, 20], ['a', 'b'])
    """
    rate = _rate(samplerate)
    check_choice(time_unit, "time_unit", _UNITS)
    names, trains = _named(times, unit)
    samples = [
        _samples(t, rate, time_unit, f"times of {name}") for name, t in zip(names, trains, strict=True)
    ]
    counts = [len(s) for s in samples]
    if not sum(counts):
        raise InvalidValueError("at least one spike", "times", "no spikes")
    homes, channels = _channels(channel, len(names))
    for name, train in zip(names, samples, strict=True):
        twice = np.flatnonzero(np.diff(train) == 0)
        if twice.size:
            legal = "different samples for the spikes of a unit (a higher samplerate, or drop one)"
            raise InvalidValueError(legal, f"times of {name}", f"sample {train[twice[0]]} twice")
    table = np.column_stack(
        [np.concatenate(samples), np.repeat(homes, counts), np.repeat(np.arange(len(names)), counts)]
    ).astype(np.int64)
    made = SpikeData(table[np.argsort(table[:, 0], kind="stable")], samplerate=rate)
    made.unit = dict(enumerate(names))
    made.channel = dict(enumerate(channels))
    if trialdefinition is not None:
        made.trialdefinition = trialdefinition
    return made


def _rate(samplerate: Any) -> float:
    rate = check_scalar(samplerate, "samplerate")
    if rate <= 0:
        raise InvalidValueError("value to be greater than 0 (Hz)", "samplerate", samplerate)
    return rate


def _named(times: Any, unit: Any) -> tuple[list[str], list[Any]]:
    if isinstance(times, Mapping):
        if unit is not None:
            raise InvalidValueError("no `unit` beside a dictionary, whose keys are the names", "unit", unit)
        names, trains = [str(name) for name in times], list(times.values())
    elif isinstance(times, (list, tuple)):
        trains = list(times)
        names = [f"unit{k + 1}" for k in range(len(trains))] if unit is None else _names(unit, "unit")
    else:
        raise InvalidTypeError(times, "times", "dictionary or list with an array of times per unit;")
    if not trains:
        raise InvalidValueError("at least one unit", "times", times)
    if len(names) != len(trains) or not all(isinstance(name, str) for name in names):
        raise InvalidValueError(f"{len(trains)} names (str)", "unit", unit)
    if len(set(names)) < len(names):
        raise InvalidValueError("different names", "unit", names)
    return names, trains


def _names(value: Any, name: str) -> list[str]:
    if not isinstance(value, (list, tuple, np.ndarray)):
        raise InvalidTypeError(value, name, "list of str;")
    return list(value)


def _samples(times: Any, rate: float, time_unit: str, name: str) -> NDArray[np.int64]:
    """Sample numbers of the times of a unit."""
    try:
        array = np.asarray(times)
    except ValueError:
        raise InvalidValueError("1d-array of times", name, times) from None
    if array.size == 0:
        return np.empty(0, dtype=np.int64)
    if array.ndim != 1:
        raise InvalidValueError("1d-array of times", name, f"array of shape {array.shape}")
    if array.dtype.kind not in "iuf":
        raise InvalidTypeError(array.dtype, name, "numbers;")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise InvalidValueError("finite times", name, "array with NaN or inf")
    if array.min() < 0:
        raise InvalidValueError("times since the start of the recording, 0 or more", name, array.min())
    if (array[1:] < array[:-1]).any():
        k = int(np.flatnonzero(array[1:] < array[:-1])[0]) + 1
        raise InvalidValueError("ascending times (numpy.sort)", name, f"{array[k]} behind {array[k - 1]}")
    if time_unit == "samples":
        if (array != np.round(array)).any():
            raise InvalidValueError("whole sample numbers, or time_unit='s'", name, array[array % 1 != 0][0])
        return array.astype(np.int64)
    return np.rint(array.astype(np.float64) * rate).astype(np.int64)


def _channels(channel: Any, n_units: int) -> tuple[Array, list[str]]:
    """Code of the channel of each unit, and names."""
    if channel is None:
        return np.zeros(n_units, dtype=np.int64), ["channel1"]
    if not isinstance(channel, (list, tuple, np.ndarray)) or len(channel) != n_units:
        raise InvalidValueError(f"the channel of each of {n_units} units", "channel", channel)
    names = list(dict.fromkeys(str(name) for name in channel))
    return np.array([names.index(str(name)) for name in channel], dtype=np.int64), names


def spikes_to_times(data: SpikeData, time_unit: str = "s") -> dict[str, Array]:
    """Return the times of each cell since the start of the recording.

    Parameters
    ----------
    data : SpikeData
        Is read as a whole.
    time_unit : {'s', 'samples'}
        What times are wanted in; seconds need a samplerate.

    Returns
    -------
    dict of str to ndarray
        Ascending times, by the name of the unit; ``channel/unit`` if a unit has
        spikes in several channels.
    """
    check_choice(time_unit, "time_unit", _UNITS)
    _check_spikes(data)
    if time_unit == "s" and data.samplerate is None:
        raise InvalidValueError("object with a samplerate, or time_unit='samples'", "data", "samplerate None")
    samples, channels, units = (data.column(name) for name in ("sample", "channel", "unit"))
    names = cell_names(data)
    scale = 1.0 / data.samplerate if time_unit == "s" and data.samplerate else 1
    return {
        name: samples[(channels == c) & (units == u)] * scale
        for name, (c, u) in zip(names, data.pairs.tolist(), strict=True)
    }


def cell_names(data: SpikeData) -> list[str]:
    """Names of the cells of `data.pairs`."""
    labels = data.describe().labels
    places = [np.searchsorted(data.codes(dim), data.pairs[:, k]) for k, dim in enumerate(data.code_dims)]
    channels, units = (labels[dim][at] for dim, at in zip(data.code_dims, places, strict=True))
    unique = len(set(data.pairs[:, 1].tolist())) == len(data.pairs)
    return [str(u) if unique else f"{c}/{u}" for c, u in zip(channels, units, strict=True)]


def _check_spikes(data: Any) -> None:
    if not isinstance(data, SpikeData):
        raise InvalidTypeError(data, "data", "SpikeData;")
    if data.data is None:
        raise InvalidValueError("object with spikes", "data", "empty SpikeData")


def spikes_from_pandas(
    table: Any,
    samplerate: float,
    time: str = "time",
    unit: str = "unit",
    channel: str | None = None,
    time_unit: str = "s",
    trialdefinition: Array | None = None,
) -> SpikeData:
    """Make spikes from a table with one row per spike, in any order.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per spike.
    samplerate : float
        Samples per second (Hz) of the recording; times become the nearest samples.
    time, unit, channel : str
        Names of the columns; without `channel` all units are on one.
    time_unit : {'s', 'samples'}
        What the times are in.
    trialdefinition : ndarray, optional
        As of `SpikeData`.

    Returns
    -------
    SpikeData
        Units and channels are named by what stands in their columns, ascending.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        There is no such column, it has missing values, or times cannot be used.
    """
    if not hasattr(table, "columns") or not hasattr(table, "iloc"):
        raise InvalidTypeError(table, "table", "pandas.DataFrame;")
    for name, parameter in ((time, "time"), (unit, "unit"), (channel, "channel")):
        if (name is None and parameter != "channel") or not isinstance(name, Hashable):
            raise InvalidTypeError(name, parameter, "name of a column;")
        if name is not None and name not in table.columns:
            columns = ", ".join(map(str, table.columns))
            raise InvalidValueError(f"name of a column ({columns})", parameter, name)
        if name is not None and table[name].isna().any():
            raise InvalidValueError("column without missing values", parameter, f"{name} with NaN")
    rate = _rate(samplerate)
    check_choice(time_unit, "time_unit", _UNITS)
    if not len(table):
        raise InvalidValueError("at least one row", "table", "empty table")
    order = np.argsort(table[time].to_numpy(), kind="stable")
    samples = _samples(table[time].to_numpy()[order], rate, time_unit, f"column {time}")
    units, unit_codes = np.unique(table[unit].to_numpy()[order], return_inverse=True)
    channels, channel_codes = np.array(["channel1"]), np.zeros(len(samples), dtype=np.int64)
    if channel is not None:
        channels, channel_codes = np.unique(table[channel].to_numpy()[order], return_inverse=True)
    rows = np.column_stack([samples, channel_codes, unit_codes]).astype(np.int64)
    names = {"channel": [str(c) for c in channels], "unit": [str(u) for u in units]}
    return SpikeData(rows, None, trialdefinition, rate, **names)


def spikes_to_pandas(data: SpikeData) -> Any:
    """Return a table with one row per spike.

    Parameters
    ----------
    data : SpikeData
        Is read as a whole.

    Returns
    -------
    pandas.DataFrame
        Columns sample, channel, unit (names), and with a samplerate time (seconds
        since the start of the recording), trial (-1: none) and trialtime (seconds
        relative to the trigger).
    """
    import pandas as pd

    _check_spikes(data)
    labels = data.describe().labels
    columns: dict[str, Any] = {"sample": data.column("sample")}
    for dim in data.code_dims:
        places = np.searchsorted(data.codes(dim), data.column(dim))
        columns[dim] = pd.Categorical.from_codes(places, [str(name) for name in labels[dim]])
    if data.samplerate is not None:
        columns |= {
            "time": data.column("sample") / data.samplerate,
            "trial": data.trialid,
            "trialtime": data.trialtime,
        }
    return pd.DataFrame(columns)


# -- Kilosort and phy ---------------------------------------------------------------------


def load_phy(
    folder: str | os.PathLike[str],
    samplerate: float | None = None,
    groups: str | Sequence[str] | None = None,
    drop_repeated: bool = False,
) -> SpikeData:
    """Read what Kilosort or phy leaves in a folder.

    Parameters
    ----------
    folder : path
        With ``spike_times.npy`` (samples) and ``spike_clusters.npy`` (or
        ``spike_templates.npy``), and if there are any ``cluster_group.tsv``,
        ``cluster_KSLabel.tsv``, ``cluster_info.tsv``, ``templates.npy`` and ``params.py``.
    samplerate : float, optional
        Samples per second (Hz); left out, that in ``params.py``.
    groups : str or list of str, optional
        Only clusters of these groups, e.g. 'good' or ['good', 'mua']. What a person
        said (``cluster_group.tsv``) counts before what Kilosort says.
    drop_repeated : bool
        Leave out spikes of a cluster at a sample where it has another one, which
        sorters report now and then, instead of refusing them.

    Returns
    -------
    SpikeData
        Codes of units are the numbers of the clusters, their names ``cluster12``.
        Channels are those of ``cluster_info.tsv``, or where the template of a cluster
        is largest, or one for all. `info` has the group of each unit.

    Raises
    ------
    PathError
        There is no such folder or file.
    InvalidValueError, DamagedDataError
        Files do not fit together; nothing in them is executed or unpickled.
    """
    check_bool(drop_repeated, "drop_repeated")
    base = check_path(folder, "folder", "name of a folder")
    if not base.is_dir():
        raise PathError(base, exists=False)
    times = _opened(base / "spike_times.npy")
    clusters = _clusters(base)
    if times.shape != clusters.shape:
        raise DamagedDataError(f"{base}: {len(times)} spike times and {len(clusters)} clusters")
    rate = _rate(samplerate) if samplerate is not None else _rate_of(base)
    group_of = _groups(base)
    wanted = _wanted(groups, group_of, base)
    source = _phy_table(times, clusters, _home_of(base, clusters), wanted, drop_repeated)
    made = SpikeData(source, samplerate=rate)
    codes = made.codes("unit")
    made.unit = {int(code): f"cluster{code}" for code in codes}
    made.info["group"] = {f"cluster{code}": group_of.get(int(code), "") for code in codes}
    return made


def _opened(path: Path) -> Array:
    """Open an array of whole numbers in one column without reading it."""
    if not path.is_file():
        raise PathError(path, exists=False)
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except ValueError as error:
        raise DamagedDataError(f"{path} is no NumPy file of numbers: {error}") from None
    flat: Array = array.reshape(-1) if array.size == max(array.shape, default=0) else array
    if flat.ndim != 1 or not flat.size:
        raise DamagedDataError(f"{path} has an array of shape {array.shape}, not one number per spike")
    return flat


def _clusters(base: Path) -> Array:
    name = "spike_clusters.npy" if (base / "spike_clusters.npy").is_file() else "spike_templates.npy"
    return _opened(base / name)


def _rate_of(base: Path) -> float:
    """Samplerate of ``params.py``, which is read and not run."""
    path = base / "params.py"
    text = path.read_text(errors="replace") if path.is_file() else ""
    match = re.search(r"^\s*sample_rate\s*=\s*([0-9.eE+]+)\s*(?:#.*)?$", text, re.MULTILINE)
    if match is None:
        raise InvalidValueError("samplerate, as there is no `sample_rate` in params.py", "samplerate", None)
    return _rate(float(match[1]))


def _column(path: Path, name: str) -> dict[int, str]:
    """One column of a table of clusters, by the number of the cluster."""
    if not path.is_file():
        return {}
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t" if path.suffix == ".tsv" else ","))
    key = next((k for k in ("cluster_id", "id") if rows and k in rows[0]), None)
    if key is None or name not in rows[0]:
        return {}
    try:
        return {int(row[key]): str(row[name] or "").strip() for row in rows}
    except ValueError as error:
        raise DamagedDataError(f"{path} has a cluster that is no number: {error}") from None


def _groups(base: Path) -> dict[int, str]:
    found: dict[int, str] = {}
    for name, column in (
        ("cluster_KSLabel", "KSLabel"),
        ("cluster_info", "group"),
        ("cluster_group", "group"),
    ):
        for suffix in (".csv", ".tsv"):
            said = _column(base / f"{name}{suffix}", column)
            found |= {code: group for code, group in said.items() if group}
    return found


def _wanted(groups: Any, group_of: Mapping[int, str], base: Path) -> NDArray[np.int64] | None:
    if groups is None:
        return None
    names = [groups] if isinstance(groups, str) else groups
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        raise InvalidTypeError(groups, "groups", "str or list of str;")
    found = np.array([code for code, group in group_of.items() if group in names], dtype=np.int64)
    if not found.size:
        known = ", ".join(sorted(set(group_of.values()))) or "none"
        raise InvalidValueError(f"groups that {base} has ({known})", "groups", groups)
    return found


def _home_of(base: Path, clusters: Array) -> dict[int, int]:
    """Channel of each cluster, as far as it is known."""
    said = _column(base / "cluster_info.tsv", "ch")
    if said:
        return {code: int(float(channel)) for code, channel in said.items() if channel}
    if not all((base / name).is_file() for name in ("templates.npy", "spike_templates.npy")):
        return {}
    templates = np.load(base / "templates.npy", mmap_mode="r", allow_pickle=False)
    largest = np.argmax(np.ptp(templates, axis=1), axis=1)
    used = _opened(base / "spike_templates.npy")
    homes = {}
    for code in np.unique(clusters).tolist():
        counts = np.bincount(used[clusters == code], minlength=len(largest))
        homes[code] = int(largest[int(np.argmax(counts))])
    return homes


def _phy_table(
    times: Array, clusters: Array, home_of: Mapping[int, int], wanted: Array | None, drop_repeated: bool
) -> ArraySource:
    """Table of the spikes of the wanted clusters, made block by block."""
    writer, last = StackWriter(0), np.empty((0, 3), dtype=np.int64)
    codes = np.array(sorted(home_of), dtype=np.int64)
    homes = np.array([home_of[code] for code in codes.tolist()], dtype=np.int64)
    before, n_rows = 0, 0
    try:
        for first in range(0, len(times), _BLOCK_ROWS):
            samples, units = (
                np.array(a[first : first + _BLOCK_ROWS], dtype=np.int64) for a in (times, clusters)
            )
            if samples.min() < 0 or samples[0] < before or (np.diff(samples) < 0).any():
                raise DamagedDataError("spike_times.npy is not in ascending order, or has negative samples")
            before = int(samples[-1])
            keep = np.ones(len(units), dtype=bool) if wanted is None else np.isin(units, wanted)
            rows = np.column_stack([samples[keep], _looked_up(units[keep], codes, homes), units[keep]])
            if drop_repeated:
                rows = _without_repeated(rows, last)
            if len(rows):
                last = rows[np.searchsorted(rows[:, 0], rows[-1, 0]) :]
                n_rows += len(rows)
                writer.add(rows)
        if not n_rows:
            raise InvalidValueError("groups with at least one spike", "groups", "no spikes")
        return writer.finish()
    except BaseException:
        writer.abort()
        raise


def _looked_up(units: Array, codes: Array, homes: Array) -> Array:
    if not len(codes):
        return np.zeros(len(units), dtype=np.int64)
    places = np.searchsorted(codes, units).clip(max=len(codes) - 1)
    return np.where(codes[places] == units, homes[places], 0)


def _without_repeated(rows: Array, last: Array) -> Array:
    """Rows that are not there before, neither among themselves nor in the last ones of the block before."""
    joined = np.concatenate([last, rows])
    _, places = np.unique(joined, axis=0, return_index=True)
    kept = np.sort(places)
    return joined[kept[kept >= len(last)]]


__all__ = [
    "load_phy",
    "spikes_from_pandas",
    "spikes_from_times",
    "spikes_to_pandas",
    "spikes_to_times",
]
