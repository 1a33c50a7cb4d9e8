"""Measures of pairs as objects of MNE-Connectivity."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.data.crossspectral import CrossSpectralData
from rayspy.errors import InvalidValueError
from rayspy.io.readers.recording import required

Array = NDArray[Any]


def connectivity(data: CrossSpectralData) -> Any:
    """Object of the class that fits the dimensions: with or without epochs, times and frequencies.

    All pairs of one set of channels become MNE's ``indices="all"``, others a list of pairs of nodes.
    """
    try:
        import mne_connectivity as con
    except ImportError:
        raise required("mne-connectivity", "to_mne of measures of pairs") from None
    names, indices, order = _nodes(data)
    trials = np.stack([_trial(data, trial, order) for trial in _equal(data)])  # trial, pair, freq, time
    options: dict[str, Any] = {
        "names": names,
        "indices": indices,
        "n_nodes": len(names),
        "method": data.quantity or "unknown",
    }
    lags = data.samplerate is not None and list(np.asarray(data.freq)) == [0]
    times = None if data.time is None else data.time[0]
    kind = ""
    if lags:
        trials, kind = trials[:, :, 0], "Temporal"
    elif trials.shape[-1] == 1 or times is None:
        trials, kind = trials[..., 0], "Spectral"
    else:
        kind = "SpectroTemporal"
    if kind != "Temporal":
        options["freqs"] = np.asarray(data.freq).tolist()
    if kind != "Spectral":
        options["times"] = np.asarray(times).tolist()
    if len(trials) > 1:
        return getattr(con, f"Epoch{kind}Connectivity")(trials, **options)
    used = data.info.get("n_observations")
    return getattr(con, f"{kind}Connectivity")(trials[0], n_epochs_used=used, **options)


def _equal(data: CrossSpectralData) -> list[Array]:
    trials = [np.asarray(trial) for trial in data.trials or []]
    if len({trial.shape for trial in trials}) > 1:
        raise InvalidValueError("trials of equal length", "data", "trials of several lengths")
    return trials


def _nodes(data: CrossSpectralData) -> tuple[list[str], Any, list[str]]:
    """Names of the nodes, pairs of them, and the order of dimensions that gives one pair after the other."""
    labels = data.describe().labels
    if "channelcmb" in data.dimord:
        pairs = [str(name).split("--") for name in labels["channelcmb"]]
        if any(len(pair) != 2 for pair in pairs):
            raise InvalidValueError("names of pairs a--b", "data", str(labels["channelcmb"][0]))
        names = list(dict.fromkeys(name for pair in pairs for name in pair))
        places = np.array([[names.index(a), names.index(b)] for a, b in pairs])
        return names, (places[:, 0], places[:, 1]), ["channelcmb", "freq", "time"]
    first, second = ([str(name) for name in labels[dim]] for dim in ("channel_i", "channel_j"))
    order = ["channel_i", "channel_j", "freq", "time"]
    if first == second:
        return first, "all", order
    names = list(dict.fromkeys([*first, *second]))
    i, j = np.meshgrid([names.index(a) for a in first], [names.index(b) for b in second], indexing="ij")
    return names, (i.ravel(), j.ravel()), order


def _trial(data: CrossSpectralData, trial: Array, order: list[str]) -> Array:
    turned = trial.transpose([data.dimord.index(dim) for dim in order])
    return turned.reshape(-1, *turned.shape[-2:])
