"""What MNE-Python reads (FIF, CTF, KIT, EGI, Nihon Kohden, Persyst, Curry, MEF3 ...) and its objects."""

from __future__ import annotations

import re
import warnings
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.checks import check_path
from rayspy.data.builder import from_array
from rayspy.errors import InvalidValueError
from rayspy.io.readers.recording import Mark, Notes, Recording, Stream, required, step_marks, unique_names
from rayspy.storage.reading import reader_source
from rayspy.storage.sources import ArraySource
from rayspy.storage.stamps import stamp_of

Array = NDArray[Any]
_VOLTS = ("eeg", "eog", "ecg", "emg", "seeg", "ecog", "dbs", "bio")
_UNITS = {**dict.fromkeys(_VOLTS, "V"), "mag": "T", "ref_meg": "T", "grad": "T/m", "hbo": "M", "hbr": "M"}
_SKIP = ("bad_acq_skip",)
_SEAM = ("bad boundary", "edge boundary")


class MneRaw:
    """An open `mne.io.Raw`, read by ranges of samples."""

    def __init__(self, raw: Any) -> None:
        self.raw = raw

    def read(self, first: int, stop: int, channels: slice) -> Array:
        """Return samples x channels."""
        picks = list(range(len(self.raw.ch_names)))[channels]
        array: Array = self.raw.get_data(picks=picks, start=first, stop=stop).T
        return array


class MneEpochs:
    """Open `mne.Epochs`, whose epochs stand one behind the other."""

    def __init__(self, epochs: Any) -> None:
        self.epochs = epochs

    def read(self, first: int, stop: int, channels: slice) -> Array:
        """Return samples x channels."""
        n = len(self.epochs.times)
        k = first // n
        picks = list(range(len(self.epochs.ch_names)))[channels]
        array = self.epochs.get_data(picks=picks, item=slice(k, -(-stop // n)), verbose="error")
        flat = array.transpose(0, 2, 1).reshape(-1, len(picks))
        wanted: Array = flat[first - k * n : stop - k * n]
        return wanted


def _mne() -> Any:
    try:
        import mne
    except ImportError:
        raise required("mne", "this format") from None
    return mne


def open_file(path: str, reader: str | None = None, **options: Any) -> MneRaw | MneEpochs:
    """Open a file; nothing of the samples is read."""
    mne = _mne()
    name = Path(path).name.removesuffix(".gz").removesuffix(".fif")
    if Path(path).suffix.lower() in (".raw", ".egi") and reader is None:
        reader = "egi"
    if Path(path).suffix.lower() == ".dat" and Path(path).with_suffix(".lay").is_file():
        path = str(Path(path).with_suffix(".lay"))
    function = mne.io.read_raw if reader is None else getattr(mne.io, f"read_raw_{reader}", None)
    if function is None:
        known = [one[9:] for one in dir(mne.io) if one.startswith("read_raw_")]
        raise InvalidValueError(f"one of {', '.join(known)}", "reader", reader)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            if reader is None and name.endswith(("-epo", "_epo")):
                return MneEpochs(mne.read_epochs(path, preload=False, verbose="error", **options))
            return MneRaw(function(path, preload=False, verbose="error", **options))
        except TypeError as error:
            if not options:
                raise
            raise InvalidValueError(f"other options for {path}: {error}", "options", options) from error
        except (ImportError, RuntimeError) as error:
            missing = re.search(r"module '?(\w+)'? is needed|No module named '(\w+)'", str(error))
            if missing is None:
                raise
            raise required(missing.group(1) or missing.group(2), path) from error


def open_mne(path: Any, reader: str | None = None, **options: Any) -> Recording:
    """Describe a file that MNE-Python reads.

    Parameters
    ----------
    path : path
        File or folder.
    reader : str, optional
        Which of ``mne.io.read_raw_...`` to take (``"cnt"``, ``"nicolet"`` ...) where the name of the file
        does not tell.
    **options
        For `mne.io.read_raw` (or `mne.read_epochs`). Values are in V, T, T/m ...
    """
    full = check_path(path, "path").resolve()
    options = {**({"reader": reader} if reader is not None else {}), **options}
    stamp = stamp_of(str(full))
    opened = open_file(str(full), **options)
    made = opened.raw if isinstance(opened, MneRaw) else opened.epochs
    shape = _shape(opened)
    source = reader_source(opened, shape, np.float64, str(full), __name__, "open_file", options, stamp)
    return Recording(str(full), _format(made), [_described(opened, source, Notes(full), full.stem)])


def of_object(made: Any) -> Recording:
    """Describe an `mne.io.Raw` or `mne.Epochs`; what is preloaded is copied."""
    mne = _mne()
    opened = MneEpochs(made) if isinstance(made, mne.BaseEpochs) else MneRaw(made)
    files = [str(name) for name in getattr(made, "filenames", ()) if name]
    source: ArraySource
    if made.preload or not files:
        source = from_array(opened.read(0, _shape(opened)[0], slice(0, None)), 2, 0)
    else:
        source = reader_source(opened, _shape(opened), np.float64, files[0], __name__, "open_file", {})
    path = files[0] if files else f"mne.{type(made).__name__}"
    return Recording(path, _format(made), [_described(opened, source, Notes(path), "mne")])


def _format(made: Any) -> str:
    return f"MNE ({type(made).__name__})"


def _shape(opened: MneRaw | MneEpochs) -> tuple[int, int]:
    if isinstance(opened, MneRaw):
        return len(opened.raw), len(opened.raw.ch_names)
    epochs = opened.epochs
    epochs.drop_bad(verbose="error")
    return len(epochs) * len(epochs.times), len(epochs.ch_names)


def _described(opened: MneRaw | MneEpochs, source: ArraySource, notes: Notes, name: str) -> Stream:
    made = opened.raw if isinstance(opened, MneRaw) else opened.epochs
    types = made.get_channel_types()
    names = unique_names(made.ch_names, notes)
    rate = float(made.info["sfreq"])
    info: dict[str, Any] = {"channel_types": dict(zip(names, types, strict=True))}
    places = {
        one: [float(x) for x in channel["loc"][:3]]
        for one, channel in zip(names, made.info["chs"], strict=True)
        if np.isfinite(channel["loc"][:3]).all() and channel["loc"][:3].any()
    }
    if places:
        info["positions"] = places
    if made.info["bads"]:
        info["bad_channels"] = list(made.info["bads"])
    if made.info["meas_date"] is not None:
        info["start"] = made.info["meas_date"].isoformat()
    units = [_UNITS.get(kind, "") for kind in types]
    if isinstance(opened, MneEpochs):
        trl, info["event_id"] = _trials(made, rate)
        return Stream(name, source, rate, names, units, trialdefinition=trl, info=info)
    marks, pieces = _annotations(made, rate)
    stim = next((k for k, kind in enumerate(types) if kind == "stim"), None)
    later = partial(step_marks, source, stim) if stim is not None and not marks else None
    return Stream(name, source, rate, names, units, pieces=pieces, marks=marks, more_marks=later, info=info)


def _trials(epochs: Any, rate: float) -> tuple[NDArray[np.float64], dict[str, int]]:
    n, starts = len(epochs.times), np.arange(len(epochs)) * len(epochs.times)
    offset = round(float(epochs.tmin) * rate)
    codes = epochs.events[:, 2]
    trl = np.column_stack([starts, starts + n, np.full(len(starts), offset), codes]).astype(np.float64)
    return trl, {str(name): int(code) for name, code in epochs.event_id.items()}


def _annotations(raw: Any, rate: float) -> tuple[list[Mark], NDArray[np.float64] | None]:
    """Events, and pieces between what was not recorded and at seams of files that were joined."""
    texts = raw.annotations
    if not len(texts):
        return [], None
    samples = np.round((np.asarray(texts.onset) - raw.first_time) * rate).astype(int)
    lengths = np.round(np.asarray(texts.duration) * rate).astype(int)
    marks = [
        Mark(int(sample), str(text), int(length))
        for sample, text, length in zip(samples, texts.description, lengths, strict=True)
    ]
    n = len(raw)
    cuts = {(m.sample, min(m.sample + m.duration, n)) for m in marks if m.label.lower() in _SKIP}
    seams = {m.sample for m in marks if m.label.lower() in _SEAM and 0 < m.sample < n}
    return marks, _pieces(n, sorted(cuts), sorted(seams))


def _pieces(n: int, cuts: list[tuple[int, int]], seams: list[int]) -> NDArray[np.float64] | None:
    if not cuts and not seams:
        return None
    edges = [(0, 0), *cuts, *((at, at) for at in seams), (n, n)]
    edges.sort()
    pieces, unknown = [], False
    for (_, start), (stop, end) in pairwise(edges):
        if start < stop:
            pieces.append((start, stop, np.nan if unknown else start))
        unknown = unknown or (stop == end and stop in seams)
    return np.array(pieces, np.float64)
