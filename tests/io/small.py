"""Small recordings in formats that are read where they are, each with the library that writes it, if any."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy.io

import rayspy as spy

NEEDS = {"brainvision": "pybv", "edf": "edfio", "bdf": "edfio", "nwb": "pynwb"}
"""Libraries that write some of them."""


def _trials(data: spy.AnalogData) -> np.ndarray[Any, Any]:
    """Trials of one length, one behind the other."""
    return np.asarray(data.data[:]).reshape(len(data.trials), -1, len(data.channel))


def brainvision(folder: Path, data: spy.AnalogData) -> Path:
    spy.to_brainvision(data, folder / "x")
    return folder / "x.vhdr"


def edf(folder: Path, data: spy.AnalogData) -> Path:
    spy.to_edf(data, folder / "x")
    return folder / "x.edf"


def bdf(folder: Path, data: spy.AnalogData) -> Path:
    """24 bits: what is told twice as long in the header of EDF, in its own way."""
    content = bytearray(edf(folder, data).read_bytes())
    (folder / "x.edf").unlink()
    content[:8] = b"\xffBIOSEMI"
    (folder / "x.bdf").write_bytes(content + bytes(len(content)))
    return folder / "x.bdf"


def nwb(folder: Path, data: spy.AnalogData) -> Path:
    spy.to_nwb(data, folder / "x")
    return folder / "x.nwb"


def fieldtrip(folder: Path, data: spy.AnalogData) -> Path:
    spy.to_fieldtrip(data, folder / "x")
    return folder / "x.mat"


def fieldtrip_before_7_3(folder: Path, data: spy.AnalogData) -> Path:
    trials = _trials(data)
    cells = np.empty((2, 1, len(trials)), object)
    for k, trial in enumerate(trials):
        cells[0, 0, k], cells[1, 0, k] = trial.T, np.arange(len(trial))[None] / data.samplerate
    labels = np.array([[name] for name in data.channel], object)
    struct = {"trial": cells[0], "time": cells[1], "label": labels, "fsample": float(data.samplerate)}
    scipy.io.savemat(folder / "y.mat", {"data": struct}, do_compression=True)
    return folder / "y.mat"


def _eeg(data: spy.AnalogData, stored: Any) -> dict[str, Any]:
    n_trials, n_samples, n_channels = _trials(data).shape
    chanlocs = np.array([(one, 1.0) for one in data.channel], [("labels", object), ("X", object)])
    events = np.array([("S 1", 5.0), ("boundary", 50.5)], [("type", object), ("latency", object)])
    sizes = {"nbchan": n_channels, "pnts": n_samples, "trials": n_trials, "srate": float(data.samplerate)}
    return {**sizes, "xmin": -0.1, "data": stored, "chanlocs": chanlocs, "event": events}


def eeglab(folder: Path, data: spy.AnalogData) -> Path:
    data.data[:].tofile(folder / "x.fdt")
    scipy.io.savemat(folder / "x.set", {"EEG": _eeg(data, "x.fdt")}, appendmat=False)
    return folder / "x.set"


def eeglab_in_one_file(folder: Path, data: spy.AnalogData, compressed: bool = False) -> Path:
    eeg = _eeg(data, _trials(data).transpose(2, 1, 0))
    scipy.io.savemat(folder / "y.set", {"EEG": eeg}, appendmat=False, do_compression=compressed)
    return folder / "y.set"


def eeglab_7_3(folder: Path, data: spy.AnalogData) -> Path:
    trials = _trials(data)
    sizes = {"trials": len(trials), "pnts": trials.shape[1], "nbchan": trials.shape[2]}
    with h5py.File(folder / "z.set", "w", userblock_size=512) as file:
        for name, value in {**sizes, "srate": data.samplerate, "xmin": -0.1}.items():
            file[f"EEG/{name}"] = [[float(value)]]
        file["EEG/data"] = trials
    return folder / "z.set"


WRITERS: dict[str, Callable[..., Path]] = {
    one.__name__: one
    for one in (
        brainvision, edf, bdf, nwb, fieldtrip, fieldtrip_before_7_3, eeglab, eeglab_in_one_file, eeglab_7_3,
    )
}  # fmt: skip
