"""Method `mtmfft`: tapered spectra of whole trials."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from rayspy.data.quantity import SPECTRA
from rayspy.kernels.remember import remembered
from rayspy.kernels.spectral.mtmfft import ManyTapers, tapered_spectra, working_dtype
from rayspy.kernels.spectral.tapers import power_norm, slepian, some_slepian, taper_groups, window
from rayspy.methods.base import InputSpec, Kernel, Method, OutputSpec, Part, Work


@dataclass(frozen=True)
class Taper:
    """A taper: the name of a window, or 'dpss' with bandwidth and number."""

    name: str
    options: tuple[tuple[str, Any], ...] = ()
    half_bandwidth: float = 0.0
    """NW, for Slepian tapers."""
    n_tapers: int = 1

    @property
    def kind(self) -> str:
        """Family that decides on the normalisation."""
        return self.name if self.name in ("boxcar", "dpss") else "window"

    @property
    def labels(self) -> list[str]:
        """One name per taper."""
        if self.name == "dpss":
            return [f"dpss{k}" for k in range(self.n_tapers)]
        return [self.name]

    def sample(self, n: int, periodic: bool = False) -> NDArray[np.float64]:
        """Tapers x samples; `periodic` Slepian tapers are those of n + 1 samples without the last."""
        if self.name == "dpss":
            return slepian(n, self.half_bandwidth, self.n_tapers, periodic)
        return window(self.name, n, _thawed(self.options))[np.newaxis]


def frozen_options(options: Mapping[str, Any] | None) -> tuple[tuple[str, Any], ...]:
    """Options as a hashable value; lists become tuples."""
    items = (options or {}).items()
    return tuple((k, tuple(v) if isinstance(v, (list, np.ndarray)) else v) for k, v in items)


def _thawed(options: tuple[tuple[str, Any], ...]) -> dict[str, Any]:
    return {k: list(v) if isinstance(v, tuple) else v for k, v in options}


@dataclass(frozen=True)
class Mtmfft(Method):
    """Parameters of `mtmfft`, all resolved: see `rayspy.freqanalysis`."""

    name: ClassVar[str] = "mtmfft"
    takes_freqs: ClassVar[bool] = True

    samplerate: float
    n_fft: int
    bins: tuple[int, ...] | None
    """Bins of the transform in the order wanted; None: all."""
    taper: Taper
    taper_labels: tuple[str, ...]
    output_kind: str = "pow"
    keeptapers: bool = False
    polyremoval: int | None = 0
    demean_taper: bool = False
    ft_compat: bool = False

    @property
    def freq(self) -> NDArray[np.float64]:
        """Frequencies of the result in Hz."""
        every = np.fft.rfftfreq(self.n_fft, 1 / self.samplerate).astype(np.float64)
        return every if self.bins is None else every[list(self.bins)]

    @property
    def nan_fills(self) -> bool:
        """Each bin is made of all samples; but imaginary parts of the first and last are always 0."""
        return "imag" not in self.output_kind

    def output(self, spec: InputSpec) -> OutputSpec:
        """One row per trial."""
        n = len(spec.trialdefinition)
        trl = spec.trialdefinition.copy()
        trl[:, 0], trl[:, 1] = np.arange(n), np.arange(1, n + 1)
        return OutputSpec(
            kind="SpectralData",
            dims=("time", "taper", "freq", "channel"),
            dtype=np.dtype(np.complex64 if self.output_kind == "fourier" else np.float32),
            rows=np.ones(n, dtype=np.int64),
            trialdefinition=trl,
            samplerate=spec.samplerate,
            labels={
                "taper": np.array(self.taper_labels),
                "freq": self.freq,
                "channel": spec.labels["channel"],
            },
            meaning=SPECTRA[self.output_kind],
        )

    def kernel(self, part: Part) -> Kernel:
        """Bind frequencies; a transform gives all of them, those that are not wanted are dropped."""
        return _bound(self, part.freqs)

    def work(self, length: int, itemsize: int) -> Work:
        """Lines in working precision, tapered lines, transform and its square; tapers kept and being made."""
        wide, n_tapers = 8 if itemsize > 4 else 4, self.taper.n_tapers
        line = length * wide + 2 * self.n_fft * wide + 3 * (self.n_fft + 2) * wide
        group = 8 * length * len(taper_groups(length, n_tapers)[0])
        kept = 4 * length * n_tapers if self.keeps_tapers(length) else 0
        return Work(line, 2 * _WIDE_BYTES + kept + 3 * group, all_lines=not self.keeps_tapers(length))

    def keeps_tapers(self, length: int) -> bool:
        """Whether the tapers are few enough to be kept; otherwise they are made for every call."""
        return self.taper.n_tapers == 1 or 4 * length * self.taper.n_tapers <= KEPT_BYTES


KEPT_BYTES = 2**25
"""Tapers of one length are kept up to this size in single precision."""
_WIDE_BYTES = 2**21
"""Tapers are repeated for every channel up to this size, which makes multiplying with them faster."""


def _tapers(method: Mtmfft, length: int, dtype: str, which: range) -> NDArray[Any]:
    """Some of the tapers with the power normalisation in them."""
    taper = method.taper
    if len(which) == taper.n_tapers:
        tapers = taper.sample(length)
    else:
        tapers = some_slepian(length, taper.half_bandwidth, which)
    norm = power_norm(taper.kind, float(tapers.sum()), length, method.n_fft, method.ft_compat)
    scaled: NDArray[Any] = (tapers * np.sqrt(norm)).astype(dtype)
    return scaled[:, :, np.newaxis]


@remembered(_WIDE_BYTES, 2 * KEPT_BYTES)
def _kept_tapers(method: Mtmfft, length: int, dtype: str) -> NDArray[Any]:
    """All tapers, in the precision they are used in."""
    groups = taper_groups(length, method.taper.n_tapers)
    if len(groups) == 1:
        return _tapers(method, length, dtype, groups[0])
    kept = np.empty((method.taper.n_tapers, length, 1), dtype)
    for which in groups:
        kept[which.start : which.stop] = _tapers(method, length, dtype, which)
    return kept


@remembered(_WIDE_BYTES, 2 * _WIDE_BYTES)
def _wide_tapers(method: Mtmfft, length: int, n_channels: int, dtype: str) -> NDArray[Any]:
    """All tapers, repeated for every channel."""
    tapers = _kept_tapers(method, length, dtype)
    return np.ascontiguousarray(np.broadcast_to(tapers, (*tapers.shape[:2], n_channels)))


def _tapers_for(method: Mtmfft, length: int, n_channels: int, dtype: str) -> NDArray[Any] | ManyTapers:
    """Tapers in the precision and, unless that is too large, the shape they are used in."""
    if not method.keeps_tapers(length):
        groups = taper_groups(length, method.taper.n_tapers)
        return ManyTapers(groups, partial(_tapers, method, length, dtype))
    if 4 * length * method.taper.n_tapers * n_channels > _WIDE_BYTES:
        return _kept_tapers(method, length, dtype)
    return _wide_tapers(method, length, n_channels, dtype)


@lru_cache(maxsize=64)
def _bound(method: Mtmfft, freqs: range | None) -> Kernel:
    wanted = slice(None) if freqs is None else slice(freqs.start, freqs.stop)
    bound: Kernel = partial(
        _spectra_with_time,
        method,
        n_fft=method.n_fft,
        bins=wanted if method.bins is None else np.array(method.bins[wanted]),
        output=method.output_kind,
        keeptapers=method.keeptapers,
        polyremoval=method.polyremoval,
        demean_taper=method.demean_taper,
    )
    return bound


def _spectra_with_time(
    method: Mtmfft, x: NDArray[Any], out: NDArray[Any] | None = None, **parameters: Any
) -> NDArray[Any]:
    """Add the time axis of length 1 that spectra of whole trials have."""
    single = method.polyremoval is not None or working_dtype(x.dtype) == np.float32
    tapers = _tapers_for(method, x.shape[1], x.shape[2], "f4" if single else "f8")
    inner = None if out is None else out[:, 0]
    return tapered_spectra(x, tapers, out=inner, **parameters)[:, np.newaxis]
