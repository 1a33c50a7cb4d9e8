"""Correlation of envelopes: `powcorr` and `powcorr_ortho`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from rayspy.checks import check_array
from rayspy.data.analog import AnalogData
from rayspy.data.base import BaseData
from rayspy.data.crossspectral import CrossSpectralData
from rayspy.data.selection import Selection
from rayspy.errors import InvalidValueError
from rayspy.frontends.call import Steps, call_of
from rayspy.frontends.compute import input_spec, objects_of, selected
from rayspy.frontends.filters.preprocessing import preprocessing
from rayspy.methods.connectivity.entries import Entries
from rayspy.methods.copying import Copying
from rayspy.methods.reductions.envelopes import EnvelopeCorrelation
from rayspy.planning.plan import make_plan

ENVELOPES = ("powcorr", "powcorr_ortho")
_LEAST = 4
"""Times that a trial must have."""


def check_envelopes(data: BaseData, selection: Selection, settings: Mapping[str, Any]) -> None:
    """Accept signals with a band, or complex spectra of one taper over time."""
    freq, n = settings["freq"], len(selection.trialdefinition)
    for name in ("segments", "bands"):
        if settings[name] is not None:
            raise InvalidValueError("None for powcorr", name, settings[name])
    if settings["jackknife"] and n < 3:
        raise InvalidValueError("three observations or more for the jackknife", "jackknife", f"{n} of them")
    if isinstance(data, AnalogData):
        if freq is None:
            raise InvalidValueError("band [low, high] in Hz for powcorr of signals", "freq", "None")
        low, high = check_array(freq, "freq", 0, float(data.samplerate or 0) / 2, length=2)
        if not low < high:
            raise InvalidValueError("[low, high] with low < high", "freq", freq)
    else:
        if freq is not None:
            raise InvalidValueError("None for spectra, which have frequencies", "freq", freq)
        n_tapers = len(selection.labels("taper"))
        if n_tapers > 1:
            raise InvalidValueError("spectra of one taper for powcorr", "data", f"{n_tapers} tapers")
    shortest = int(selection.lengths.min())
    if shortest < _LEAST:
        raise InvalidValueError(
            f"trials with {_LEAST} times or more for powcorr: signals, or spectra resolved in time",
            "data",
            f"{shortest} times",
        )
    if (selection.lengths != selection.lengths[0]).any():
        raise InvalidValueError(
            "trials of equal length", "data", f"trials of {shortest} to {selection.lengths.max():g} times"
        )


def envelope_correlations(
    data: BaseData,
    selection: Selection,
    names: list[str],
    entries: Entries,
    settings: Mapping[str, Any],
) -> Steps[dict[str, CrossSpectralData]]:
    """Filter signals, if that is what is given, and correlate envelopes."""
    check_envelopes(data, selection, settings)
    centre = 0.0
    source = data
    if isinstance(data, AnalogData):
        filters = {"filter_type": "bp", "freq": settings["freq"], "hilbert": "complex"}
        same = {key: settings[key] for key in ("polyremoval", "select")}
        source = yield from call_of(preprocessing, (data,), {**filters, **same})[0].steps
        selection, centre = selected(source, None), float(np.mean(settings["freq"]))
    found = {}
    for name in names:
        reduction = EnvelopeCorrelation(name, entries, centre, settings["jackknife"])
        spec = input_spec(source, selection)
        plan = make_plan("connectivityanalysis", Copying(), source.source, spec, selection.index, reduction)
        results = objects_of((yield plan), data)
        result: CrossSpectralData = results[name]
        n = len(spec.trialdefinition)
        result.info.update(method=name, n_trials=n, n_observations=n)
        if settings["jackknife"]:
            result.jackknife = {
                f"jack_{what}": results[f"{name} {what}"].data[()] for what in ("var", "bias")
            }
        found[name] = result
    return found
