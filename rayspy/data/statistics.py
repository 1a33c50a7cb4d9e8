"""Results of tests: statistic, p values, clusters and the distribution under the null hypothesis."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from rayspy.checks import check_bool, check_integer, check_path
from rayspy.data import actions
from rayspy.errors import DamagedDataError, PathError
from rayspy.storage.faults import replacing
from rayspy.storage.npy import UNREADABLE, read_archive

Array = NDArray[Any]

_FORMAT = "rayspy-statistics"
_VERSION = 1
_ARRAYS = ("stat", "prob", "mask", "cluster", "enhanced", "distribution")


@dataclass(eq=False, repr=False)
class StatData:
    """Result of a test at every point.

    Arrays have the dimensions `dimord`: (time, freq, channel), or (time, channel).

    Attributes
    ----------
    stat : ndarray of double
        Statistic; t is positive where the first group or condition is larger.
        NaN where all observations are equal or one is NaN.
    prob : ndarray of double
        p values, corrected as `settings` says; with clusters that of the point's
        cluster, 1 in none.
    mask : ndarray of bool
        ``prob <= alpha``.
    cluster : ndarray of int
        Number of the row of `clusters` that each point belongs to, from 1; 0: none.
    enhanced : ndarray of double, or None
        Threshold-free cluster enhancement of `stat`.
    distribution : ndarray of double, or None
        Largest cluster or value of each relabelling besides the observed one;
        None where points were counted by themselves and for analytic tests.
    n_permutations : int
        Relabellings besides the observed one.
    exact : bool
        Whether these are all there are.
    threshold : float
        For clusters: points belong to one where the statistic is beyond it.
    df : tuple of int
        Degrees of freedom.
    """

    extension: ClassVar[str] = ".stat"

    dimord: tuple[str, ...]
    coords: dict[str, Array]
    stat: Array
    prob: Array
    mask: Array
    settings: dict[str, Any]
    words: str
    df: tuple[int, ...]
    n_permutations: int = 0
    exact: bool = False
    threshold: float = float("nan")
    cluster: Array | None = None
    rows: list[dict[str, Any]] = field(default_factory=list)
    enhanced: Array | None = None
    distribution: Array | None = None
    counts: Array | None = None
    """Relabellings that reached the statistic of each point, where points are counted by themselves."""
    cfg: dict[str, Any] = field(default_factory=dict)
    test: Any = None
    """What it takes to make more relabellings; not saved."""

    @property
    def time(self) -> Array | None:
        """Times in seconds."""
        return self.coords.get("time")

    @property
    def freq(self) -> Array | None:
        """Frequencies in Hz."""
        return self.coords.get("freq")

    @property
    def channel(self) -> Array | None:
        """Names of the channels."""
        return self.coords.get("channel")

    @property
    def cohens_d(self) -> Array | None:
        """Effect size: difference of means over the pooled standard deviation.

        Of pairs the mean difference over the standard deviation of differences, of one
        sample the mean over the standard deviation. None for other statistics and
        where covariates were taken out. Cohen 1988, Statistical Power Analysis, chapter 2.
        """
        cells = self.settings.get("cells") or []
        statistic = self.settings.get("statistic")
        if statistic in ("depsamplesT", "onesampleT"):
            single: Array = self.stat / np.sqrt(cells[0])
            return single
        if statistic == "indepsamplesT" and self.df == (sum(cells) - 2,):
            scaled: Array = self.stat * np.sqrt(1 / cells[0] + 1 / cells[1])
            return scaled
        return None

    @property
    def hedges_g(self) -> Array | None:
        """`cohens_d` without its bias in small samples (Hedges 1981, J. Educ. Stat. 6:107, equation 6e)."""
        d = self.cohens_d
        if d is None or self.df[0] < 2:
            return None
        df = self.df[0]
        return d * math.exp(math.lgamma(df / 2) - math.lgamma((df - 1) / 2) - math.log(df / 2) / 2)

    @property
    def clusters(self) -> Any:
        """Table of the clusters (`pandas.DataFrame`), the largest first.

        Columns: `sign`, `mass` (of the statistic that was asked for, with its sign),
        `p`, `n_points`, first and last of every dimension the cluster has points at,
        number of channels, and where its largest value is. For channels the names.
        """
        import pandas as pd

        return pd.DataFrame(self.rows, index=pd.RangeIndex(1, len(self.rows) + 1, name="cluster"))

    def extend(self, n: int, parallel: bool | None = None, data: Any = None) -> StatData:
        """Add relabellings: the result is, bit for bit, that of asking for all of them at once.

        Parameters
        ----------
        n : int
            How many more.
        parallel : bool or None
            How to run; see `freqstatistics`.
        data : data object, list of them, or tuple of these, optional
            For a result that was loaded: what was tested, in the order of the call, as
            ``data=(first, second)``. Settings are those of the file.

        Returns
        -------
        StatData
            A new result.

        Raises
        ------
        InvalidValueError
            All relabellings are there already, or the data are missing or others.
        """
        n = check_integer(n, "n", 1)
        extended: StatData = actions.call("extend_statistics", self, n, parallel, data)
        return extended

    def to_dataframe(self) -> Any:
        """Return a table with a row per point: its coordinates, statistic, p value, mask and cluster."""
        import pandas as pd

        index = pd.MultiIndex.from_product([self.coords[dim] for dim in self.dimord], names=self.dimord)
        columns = {"stat": self.stat, "prob": self.prob, "mask": self.mask}
        for name in ("cluster", "enhanced"):
            if getattr(self, name) is not None:
                columns[name] = getattr(self, name)
        return pd.DataFrame(
            {name: array.ravel() for name, array in columns.items()}, index=index
        ).reset_index()

    def singlepanelplot(self, **show: Any) -> Any:
        """Draw the statistic into one panel, with the mask on top; see `rayspy.singlepanelplot`."""
        return actions.call("singlepanelplot", self, **show)

    def multipanelplot(self, **show: Any) -> Any:
        """Draw the statistic with a panel per channel, with the mask on top; see `rayspy.multipanelplot`."""
        return actions.call("multipanelplot", self, **show)

    # -- files ---------------------------------------------------------------------

    def save(self, filename: str | os.PathLike[str], overwrite: bool = False) -> Path:
        """Save to one file (NumPy arrays in a zip file and a description in JSON).

        Parameters
        ----------
        filename : str
            Name; `.stat` is added where it is missing.
        overwrite : bool
            Whether to replace a file.

        Returns
        -------
        Path
            The file.
        """
        path = check_path(filename, "filename", "name of a file")
        path = path if path.suffix == self.extension else path.with_name(path.name + self.extension)
        if path.exists() and not check_bool(overwrite, "overwrite"):
            raise PathError(path, exists=True, hint="overwrite=True replaces it")
        content: dict[str, Any] = {"description": np.array(json.dumps(self._description())), **self._arrays()}
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **content)
        return path

    def _arrays(self) -> dict[str, Array]:
        arrays = {name: getattr(self, name) for name in (*_ARRAYS, "counts")}
        arrays |= {f"coord_{dim}": values for dim, values in self.coords.items()}
        return {name: array for name, array in arrays.items() if array is not None}

    def _description(self) -> dict[str, Any]:
        names = (
            "dimord",
            "settings",
            "words",
            "df",
            "n_permutations",
            "exact",
            "threshold",
            "rows",
        )
        kept = {name: getattr(self, name) for name in (*names, "cfg")}
        return {"format": _FORMAT, "version": _VERSION, **plain(kept)}

    @classmethod
    def load(cls, filename: str | os.PathLike[str]) -> StatData:
        """Read what `save` wrote.

        Raises
        ------
        PathError
            There is no such file.
        DamagedDataError
            It is damaged or something else.
        """
        path = check_path(filename, "filename", "name of a file")
        if not path.is_file() and path.with_name(path.name + cls.extension).is_file():
            path = path.with_name(path.name + cls.extension)
        if not path.is_file():
            raise PathError(path, exists=False)
        try:
            return cls._from_file(read_archive(path))
        except UNREADABLE as error:
            raise DamagedDataError(f"{path} is damaged or no result of a test: {error}") from error

    @classmethod
    def _from_file(cls, arrays: dict[str, Array]) -> StatData:
        told = json.loads(str(arrays["description"]))
        if told.pop("format") != _FORMAT or told.pop("version") > _VERSION:
            raise ValueError("another format")
        dimord = tuple(told.pop("dimord"))
        coords = {dim: arrays[f"coord_{dim}"] for dim in dimord}
        shape = tuple(len(values) for values in coords.values())
        for name in ("stat", "prob", "mask", "cluster", "enhanced"):
            if name in arrays and arrays[name].shape != shape:
                raise ValueError(f"{name} of shape {arrays[name].shape} instead of {shape}")
        told["df"] = tuple(told["df"])
        told["threshold"] = float("nan") if told["threshold"] is None else told["threshold"]
        found: dict[str, Any] = {name: arrays[name] for name in (*_ARRAYS, "counts") if name in arrays}
        return cls(dimord=dimord, coords=coords, **found, **told)

    # -- text ----------------------------------------------------------------------

    def __repr__(self) -> str:
        sizes = " x ".join(f"{len(self.coords[dim])} {dim}" for dim in self.dimord)
        kind = "all" if self.exact else "random"
        draws = f"{self.n_permutations} {kind} relabellings" if self.n_permutations else "analytic"
        lines = [
            f"rayspy {type(self).__name__}: {self.settings.get('statistic')}, {self.words}",
            f"  points     : {sizes}",
            f"  p values   : {draws}, correctm '{self.settings.get('correctm')}'",
            f"  in mask    : {self.mask.sum()} of {self.mask.size} points (p <= {self.settings['alpha']:g})",
        ]
        if self.settings.get("correctm") == "cluster":
            few = sum(row["p"] <= self.settings["alpha"] for row in self.rows)
            lines.append(
                f"  clusters   : {len(self.rows)}, {few} with p <= {self.settings['alpha']:g}; see .clusters"
            )
        return "\n".join(lines)


@dataclass(frozen=True, eq=False, repr=False)
class IntervalData:
    """How sure an average, or a difference of averages, is at every point.

    Attributes
    ----------
    dimord : tuple of str
        Dimensions of the arrays.
    coords : dict of str to ndarray
        Times, frequencies, labels.
    estimate, se, low, high : ndarray of double
        Average (difference), its standard error, limits of the interval.
    level : float
        Probability that an interval covers, for each point by itself.
    words : str
        Where it comes from.
    """

    dimord: tuple[str, ...]
    coords: dict[str, Array]
    estimate: Array
    se: Array
    low: Array
    high: Array
    level: float
    words: str

    def to_dataframe(self) -> Any:
        """Return a table with a row per point: its coordinates, estimate, standard error and limits."""
        import pandas as pd

        index = pd.MultiIndex.from_product([self.coords[dim] for dim in self.dimord], names=self.dimord)
        columns = {name: getattr(self, name).ravel() for name in ("estimate", "se", "low", "high")}
        return pd.DataFrame(columns, index=index).reset_index()

    def __repr__(self) -> str:
        sizes = " x ".join(f"{len(self.coords[dim])} {dim}" for dim in self.dimord)
        return f"rayspy IntervalData: {self.words}\n  points: {sizes}\n  level : {self.level:g}"


def plain(value: Any) -> Any:
    """Only what JSON has: NaN and arrays become None and lists."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not np.isfinite(value):
        return None if np.isnan(value) else str(value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return str(value)
