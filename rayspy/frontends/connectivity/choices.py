"""From the parameters of a call to estimators."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.errors import InvalidValueError
from rayspy.frontends.connectivity.spectra import Spectra
from rayspy.methods.connectivity.entries import Entries, matrix
from rayspy.methods.connectivity.estimators import (
    Band,
    Estimator,
    Factored,
    OfGroups,
    OfPairs,
    PairByPair,
    Partial,
    PhaseSlope,
)

OUTPUTS = ("abs", "pow", "complex", "fourier", "angle", "real", "imag")
PAIRS = (
    "csd", "coh", "plv", "ciplv", "ppc", "pli", "pli_debiased", "dpli", "wpli", "wpli_debiased",
)  # fmt: skip
FACTORED = ("granger", "dtf", "pdc", "gpdc", "ddtf")
GROUPED = ("mic", "mim", "cacoh")
SPECTRAL = (*PAIRS, "psi", "pcoh", *FACTORED, *GROUPED)
"""Methods that are functions of cross spectra."""
METHODS = (*SPECTRAL, "corr", "powcorr", "powcorr_ortho")
"""All methods of `connectivityanalysis`."""


@dataclass(frozen=True, eq=False)
class Choice:
    """What estimators are made from; everything is checked.

    Attributes
    ----------
    spectra : Spectra
        Spectra of trials.
    entries : Entries
        Wanted pairs.
    all_entries : Entries
        All pairs.
    chosen_pairs : bool
        Whether only some are wanted.
    channel : ndarray of str
        Channels.
    groups : dict of str to tuple of int
        Groups of channels, may be empty.
    ranks : tuple of int or None
        Components per group.
    bands : tuple of Band
        May be empty.
    output : str
        Part of complex measures.
    pairwise, conditional, timereversed : bool
        For granger.
    """

    spectra: Spectra
    entries: Entries
    chosen_pairs: bool
    channel: NDArray[Any]
    groups: dict[str, tuple[int, ...]]
    ranks: tuple[int | None, ...]
    bands: tuple[Band, ...]
    output: str
    pairwise: bool
    conditional: bool
    timereversed: bool
    left_out: int
    """Trials that are left out at a time: one for the jackknife."""

    @property
    def names(self) -> tuple[str, ...]:
        """Channels as text."""
        return tuple(str(name) for name in self.channel)

    @property
    def n_fft(self) -> int:
        """Length of the transform."""
        return self.spectra.n_fft or 0

    @property
    def common(self) -> dict[str, Any]:
        """What all estimators have."""
        return {"bands": self.bands, "bins": None if self.bands else self.spectra.bins}


def estimator_of(name: str, choice: Choice) -> Estimator:
    """Make the estimator of a method."""
    build: dict[str, Callable[[str, Choice], Estimator]] = {
        "psi": _slope,
        "pcoh": _partial,
        "granger": _granger,
        **dict.fromkeys(FACTORED[1:], _factored),
        **dict.fromkeys(GROUPED, _grouped),
    }
    return build.get(name, _pairs)(name, choice)


def _pairs(name: str, choice: Choice) -> Estimator:
    output = choice.output if name == "coh" else ""
    is_complex = name == "csd" or output in ("complex", "fourier")
    return OfPairs(name, choice.entries, "c8" if is_complex else "f4", output=output, **choice.common)


def _slope(name: str, choice: Choice) -> Estimator:
    return PhaseSlope(name, choice.entries, bands=choice.bands)


def _partial(name: str, choice: Choice) -> Estimator:
    dtype = "c8" if choice.output in ("complex", "fourier") else "f4"
    return Partial(
        name, choice.entries, dtype, output=choice.output, names=_enough(name, choice), **choice.common
    )


def _factored(name: str, choice: Choice) -> Estimator:
    return Factored(name, choice.entries, names=_enough(name, choice), n_fft=choice.n_fft, **choice.common)


def _granger(name: str, choice: Choice) -> Estimator:
    if choice.groups:
        return _grouped(name, choice)
    if choice.pairwise or (choice.chosen_pairs and not choice.conditional):
        return PairByPair(
            name, choice.entries, n_fft=choice.n_fft, reversed=choice.timereversed, **choice.common
        )
    if choice.conditional and len(choice.names) < 3:
        raise InvalidValueError("three channels or more for conditional=True", "data", len(choice.names))
    return Factored(
        name,
        choice.entries,
        names=_enough(name, choice),
        n_fft=choice.n_fft,
        conditional=choice.conditional,
        reversed=choice.timereversed,
        **choice.common,
    )


def _grouped(name: str, choice: Choice) -> Estimator:
    if not choice.groups:
        raise InvalidValueError(
            f"dictionary of groups of channels for method={name!r}: {{'V1': [...], 'V4': [...]}}",
            "groups",
            "None",
        )
    places = np.arange(len(choice.groups))
    entries = matrix(places, places, np.array(list(choice.groups)))
    largest = max(len(group) for group in choice.groups.values())
    _check_rows(name, choice, largest)
    return OfGroups(
        name,
        entries,
        groups=tuple(choice.groups.values()),
        ranks=choice.ranks,
        names=choice.names,
        n_fft=choice.n_fft,
        reversed=choice.timereversed and name == "granger",
        **choice.common,
    )


def _enough(name: str, choice: Choice) -> tuple[str, ...]:
    """Channels, of which there must not be more than trials times tapers."""
    _check_rows(name, choice, len(choice.names))
    return choice.names


def _check_rows(name: str, choice: Choice, n_channels: int) -> None:
    spectra = choice.spectra
    if (spectra.n_trials - choice.left_out) * spectra.n_tapers < n_channels:
        without = " without the one that the jackknife leaves out" * choice.left_out
        raise InvalidValueError(
            f"as many trials times tapers as channels ({n_channels}){without} for method={name!r}; select "
            "fewer channels, or use more tapers (tapsmofrq) or a measure of pairs (pairwise=True)",
            "data",
            f"{spectra.n_trials} trials x {spectra.n_tapers} tapers",
        )
