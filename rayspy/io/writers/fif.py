"""FIF files, written through MNE-Python, which reads the samples while it writes."""

from __future__ import annotations

import secrets
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.checks import check_bool
from rayspy.data.analog import AnalogData
from rayspy.errors import InvalidTypeError, InvalidValueError, PathError
from rayspy.io.readers.recording import required
from rayspy.io.writers import whole
from rayspy.io.writers.mne_objects import annotations_of, types_and_info
from rayspy.progress import warn

Array = NDArray[Any]
_PIECE_BYTES = 2**24


def to_fif(data: AnalogData, path: Any, ch_types: Any = None, overwrite: bool = False) -> None:
    """Write AnalogData as a continuous recording to a FIF file, piece by piece, through MNE-Python.

    Parameters
    ----------
    data : AnalogData
        Is not changed; an active selection does not count. All samples are written; trials are
        annotated as ``trial 0`` and so on, events with their names or codes.
    path : path
        The file; ``.fif`` is appended where it is missing (MNE expects names that end with ``raw.fif``).
        From 2 GB on MNE splits the file (``x_raw-1.fif`` ...).
    ch_types : str or list of str, optional
        As for `to_mne`.
    overwrite : bool
        Replace what is there.

    Notes
    -----
    Numbers are converted to V, T ... where `unit` says what they are; single precision, or double
    where the data have that or whole numbers of 32 bits. Epochs and averages are written by the objects
    that `to_mne` makes: ``spy.to_mne(data).save("x-epo.fif")``.

    Raises
    ------
    PathError
        The file exists, or cannot be written.
    InvalidTypeError, InvalidValueError
        Not AnalogData with a samplerate and real numbers, or types that do not fit the units.
    MissingPackageError
        MNE is not installed.
    """
    if not isinstance(data, AnalogData):
        raise InvalidTypeError(data, "data", "AnalogData (to_mne(data).save for epochs and averages);")
    if data.data is None or data.samplerate is None or data.source.dtype.kind == "c":
        raise InvalidValueError("real numbers with a samplerate", "data", "other data")
    check_bool(overwrite, "overwrite")
    try:
        import mne
    except ImportError:
        raise required("mne", "to_fif") from None
    final = whole.target(path, ".fif", overwrite)
    info, factors = types_and_info(mne, data, ch_types)
    wide = np.result_type(data.source.dtype, np.float32 if data.source.dtype.kind == "f" else np.float16)
    with whole.telling("to_fif", whole.bytes_of(data.source)) as seen, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        raw = _raw_class(mne)(info, data, factors, seen)
        _annotate(mne, raw, data)
        _save(raw, final, "single" if wide.itemsize <= 4 else "double")
    if data.trialinfo is not None and data.trialinfo.shape[1]:
        warn("to_fif", "trialinfo was not written")


def _raw_class(mne: Any) -> Any:
    class Lazy(mne.io.BaseRaw):  # type: ignore[misc]
        """Samples of ours, read when MNE wants them."""

        def __init__(self, info: Any, data: AnalogData, factors: Array, seen: whole.Seen) -> None:
            n = data.source.shape[data.dimord.index("time")]
            extras = [{"read_from": (data.source, data.dimord.index("time"), factors, seen)}]
            super().__init__(info, preload=False, last_samps=[n - 1], raw_extras=extras, verbose="error")

        def _read_segment_file(
            self, data: Array, idx: Any, fi: int, start: int, stop: int, cals: Any, mult: Any
        ) -> None:
            source, axis, factors, seen = self._raw_extras[fi]["read_from"]
            region = slice(start, stop), slice(0, len(factors))
            with source.reader() as read:
                array = seen(read(region if axis == 0 else region[::-1]))
            values = ((array if axis == 0 else array.T) * factors).T
            data[:] = values[idx] if mult is None else mult @ values

    return Lazy


def _annotate(mne: Any, raw: Any, data: AnalogData) -> None:
    rate, trl = float(data.samplerate or 1), data.describe().trialdefinition
    onset, duration, texts = annotations_of(data, 0, raw.n_times)
    if len(trl) > 1 or trl[0, 2]:
        onset = np.concatenate([onset, trl[:, 0] / rate])
        duration = np.concatenate([duration, (trl[:, 1] - trl[:, 0]) / rate])
        texts = [*texts, *(f"trial {k}" for k in range(len(trl)))]
    raw.set_annotations(mne.Annotations(onset, duration, texts))


def _save(raw: Any, final: Path, fmt: str) -> None:
    """Write into a folder beside the file and take out what is complete: parts know each other's names."""
    folder = final.with_name(f".{secrets.token_hex(4)}.{final.name}")
    rows = max(1, _PIECE_BYTES // (8 * len(raw.ch_names)))
    try:
        folder.mkdir()
        raw.save(
            folder / final.name, fmt=fmt, buffer_size_sec=max(rows / raw.info["sfreq"], 1e-3), verbose="error"
        )
        written = sorted(folder.iterdir(), key=lambda one: one.name == final.name)
        for part in written:
            part.replace(final.with_name(part.name))
    except OSError as error:
        raise PathError(final, hint=error.strerror or str(error)) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
