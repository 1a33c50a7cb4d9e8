"""Results of `crossfrequencyanalysis`: coupling of phases and amplitudes, with surrogates."""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from rayspy.checks import check_bool, check_path
from rayspy.data import actions
from rayspy.data.statistics import plain
from rayspy.errors import DamagedDataError, PathError
from rayspy.limits import memory_budget
from rayspy.storage.faults import replacing
from rayspy.storage.npy import UNREADABLE

Array = NDArray[Any]

_FORMAT = "rayspy-coupling"
_VERSION = 1
_QUANTITIES = ("value", "phase", "surrogate_mean", "surrogate_std", "z", "prob")


_MEASURES = {"tort": "modulation index", "mvl": "mean vector length", "plv": "phase locking"}


@dataclass(frozen=True, eq=False, repr=False)
class CouplingData:
    """Phase-amplitude coupling at pairs of frequencies and of channels.

    Attributes
    ----------
    dimord : tuple of str
        ('freq_phase', 'freq_amplitude', 'channelcmb'), with 'trial' before them where trials are kept.
    coords : dict of str to ndarray
        Frequencies in Hz; labels ``a--b``: phase of a, amplitude of b; numbers of trials.
    value : ndarray of double
        Coupling.
    phase : ndarray of double
        Phase in radians at which the amplitude is largest; 0 is the peak of the slow signal.
    surrogate_mean, surrogate_std : ndarray of double
        Of the surrogates (ddof 1).
    prob : ndarray of double
        p value of each pair of frequencies by itself: (1 + surrogates that reach
        the value) / (1 + surrogates). Not corrected for the number of pairs.
    shares : ndarray of double, or None
        For the modulation index over all trials: mean amplitude per bin of phase as a share
        of all bins, dimensions (bin, freq_phase, freq_amplitude, channelcmb).
    settings : dict
        What was asked for.

    NaN where a channel has NaN or no signal, or a bin of phase has no times, and for
    surrogates where there are none.
    """

    extension: ClassVar[str] = ".coupling.parquet"

    dimord: tuple[str, ...]
    coords: dict[str, Array]
    value: Array
    phase: Array
    surrogate_mean: Array
    surrogate_std: Array
    prob: Array
    settings: dict[str, Any]
    shares: Array | None = None
    cfg: dict[str, Any] = field(default_factory=dict)

    @property
    def quantity(self) -> str:
        """What `value` is."""
        return _MEASURES[self.settings["method"]]

    @property
    def unit(self) -> str | None:
        """Unit of `value`: of mean vector lengths that of the data, None if that is unknown."""
        unit: str | None = self.settings.get("unit") if self.settings["method"] == "mvl" else "1"
        return unit

    @property
    def z(self) -> Array:
        """Value less the mean of the surrogates, over their standard deviation; NaN where that is 0."""
        spread = np.where(self.surrogate_std > 0, self.surrogate_std, np.nan)
        return np.asarray((self.value - self.surrogate_mean) / spread)

    @property
    def freq_phase(self) -> Array:
        """Frequencies of the phase in Hz."""
        return self.coords["freq_phase"]

    @property
    def freq_amplitude(self) -> Array:
        """Frequencies of the amplitude in Hz."""
        return self.coords["freq_amplitude"]

    @property
    def channelcmb(self) -> Array:
        """Pairs of channels ``a--b``: phase of a, amplitude of b."""
        return self.coords["channelcmb"]

    def to_dataframe(self) -> Any:
        """Return a table (`pandas.DataFrame`) with a row per point: its coordinates and all quantities."""
        import pandas as pd

        index = pd.MultiIndex.from_product([self.coords[dim] for dim in self.dimord], names=self.dimord)
        columns = {name: getattr(self, name).ravel() for name in _QUANTITIES}
        return pd.DataFrame(columns, index=index).reset_index()

    def to_xarray(self) -> Any:
        """Return an `xarray.Dataset` with a variable per quantity."""
        try:
            import xarray as xr
        except ImportError:
            from rayspy.errors import MissingPackageError

            raise MissingPackageError("to_xarray needs the package xarray: pip install xarray") from None
        found = {name: (self.dimord, getattr(self, name)) for name in _QUANTITIES}
        coords: dict[str, Any] = dict(self.coords)
        if self.shares is not None:
            found["shares"] = (("bin", *self.dimord), self.shares)
            coords["bin"] = self.bin_centres
        return xr.Dataset(found, coords=coords, attrs={"measure": self.settings["method"]})

    @property
    def bin_centres(self) -> Array:
        """Middles of the bins of phase in radians."""
        n = int(self.settings["n_bins"])
        return (np.arange(n) + 0.5) / n * 2 * np.pi - np.pi

    def plot(self, channelcmb: Any = 0, quantity: str = "value", trial: int | None = None) -> Any:
        """Draw a comodulogram: phase frequencies by amplitude frequencies of one pair of channels.

        Parameters
        ----------
        channelcmb : str or int
            Pair, ``a--b`` or its place.
        quantity : {'value', 'z', 'prob', 'phase'}
            What is drawn.
        trial : int, optional
            Which of the kept trials (its place); mean over all if left out.

        Returns
        -------
        fig, ax
            matplotlib figure and axes.
        """
        return actions.call("plot_coupling", self, channelcmb, quantity, trial)

    # -- files ---------------------------------------------------------------------

    def save(self, filename: str | os.PathLike[str], overwrite: bool = False) -> Path:
        """Save to one Parquet file, a row per point, that any reader of tables can open.

        Parameters
        ----------
        filename : str
            Name; `.coupling.parquet` is added where it is missing.
        overwrite : bool
            Whether to replace a file.

        Returns
        -------
        Path
            The file.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = _path(filename, self.extension)
        if path.exists() and not check_bool(overwrite, "overwrite"):
            raise PathError(path, exists=True, hint="overwrite=True replaces it")
        columns = {dim: self._spread(dim) for dim in self.dimord}
        columns |= {name: getattr(self, name).ravel() for name in _QUANTITIES}
        if self.shares is not None:
            columns |= {f"share_{k}": share.ravel() for k, share in enumerate(self.shares)}
        told = {"format": _FORMAT, "version": _VERSION, **plain(self._description())}
        table = pa.table(columns).replace_schema_metadata({"rayspy": json.dumps(told)})
        with replacing(path) as temporary:
            pq.write_table(table, temporary)
        return path

    def _spread(self, dim: str) -> Array:
        """Coordinate of every point."""
        shape = [1] * len(self.dimord)
        shape[self.dimord.index(dim)] = -1
        return np.broadcast_to(self.coords[dim].reshape(shape), self.value.shape).ravel()

    def _description(self) -> dict[str, Any]:
        coords = {dim: values.tolist() for dim, values in self.coords.items()}
        n_bins = 0 if self.shares is None else len(self.shares)
        return {
            "dimord": self.dimord, "coords": coords, "shares": n_bins,
            "settings": self.settings, "cfg": self.cfg,
        }  # fmt: skip

    @classmethod
    def load(cls, filename: str | os.PathLike[str]) -> CouplingData:
        """Read what `save` wrote.

        Raises
        ------
        PathError
            There is no such file.
        DamagedDataError
            It is damaged or something else.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = _path(filename, cls.extension)
        path = path if path.is_file() else Path(filename).expanduser()
        if not path.is_file():
            raise PathError(path, exists=False)
        try:
            with pq.ParquetFile(path) as file:
                told = json.loads((file.schema_arrow.metadata or {})[b"rayspy"])
                return cls._from_table(_numbers_in(file, told), told)
        except (*UNREADABLE, pa.ArrowException) as error:
            raise DamagedDataError(f"{path} is damaged or no result of coupling: {error}") from error

    @classmethod
    def _from_table(cls, table: Any, told: dict[str, Any]) -> CouplingData:
        if told["format"] != _FORMAT or told["version"] > _VERSION:
            raise ValueError("another format")
        coords = {dim: np.array(told["coords"][dim]) for dim in told["dimord"]}
        shape = tuple(len(values) for values in coords.values())

        def column(name: str) -> Array:
            found: Array = table[name].to_numpy().reshape(shape)
            return found

        shares = [column(f"share_{k}") for k in range(told["shares"])]
        return cls(
            dimord=tuple(told["dimord"]),
            coords=coords,
            **{name: column(name) for name in _QUANTITIES if name != "z"},
            settings=told["settings"],
            shares=np.stack(shares) if shares else None,
            cfg=told["cfg"],
        )

    # -- text ----------------------------------------------------------------------

    def __repr__(self) -> str:
        sizes = " x ".join(f"{len(self.coords[dim])} {dim}" for dim in self.dimord)
        n, kind = self.settings["n_surrogates"], self.settings["surrogates"]
        lines = [
            f"rayspy CouplingData: {self.settings['method']}",
            f"  points     : {sizes}",
            f"  surrogates : {n} by {kind}" if n else "  surrogates : none",
        ]
        if np.isfinite(self.value).any():
            peak = np.unravel_index(int(np.nanargmax(self.value)), self.value.shape)
            where = ", ".join(
                f"{dim} {self.coords[dim][k]}" for dim, k in zip(self.dimord, peak, strict=True)
            )
            lines.append(f"  largest    : {self.value[peak]:.4g} at {where}, p = {self.prob[peak]:.3g}")
        return "\n".join(lines)


def _numbers_in(file: Any, told: dict[str, Any]) -> Any:
    """Read the columns of numbers, if they have as many rows as there are points.

    Equal values take no room in such a file, so that few bytes could become very many.
    """
    n = math.prod(len(told["coords"][dim]) for dim in told["dimord"])
    wanted = [*(name for name in _QUANTITIES if name != "z"), *(f"share_{k}" for k in range(told["shares"]))]
    types = {str(file.schema_arrow.field(name).type) for name in wanted}
    if file.metadata.num_rows != n or types != {"double"}:
        raise ValueError(f"{file.metadata.num_rows} rows for {n} points")
    if 8 * n * len(wanted) > memory_budget():
        raise ValueError(f"{n} points do not fit into memory")
    return file.read(columns=wanted)


def _path(filename: Any, extension: str) -> Path:
    path = check_path(filename, "filename", "name of a file")
    return path if path.name.endswith(extension) else path.with_name(path.name + extension)
