"""Front-ends `bootstrap` and `jackknife`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.checks import check_bool, check_choice, check_integer, check_scalar
from rayspy.data.analog import AnalogData
from rayspy.data.crossspectral import CrossSpectralData
from rayspy.data.spectral import SpectralData
from rayspy.data.statistics import IntervalData
from rayspy.data.timelock import TimeLockData
from rayspy.errors import InvalidValueError
from rayspy.frontends.call import Call, Steps, frontend_of_many
from rayspy.frontends.statistics.calls import selector
from rayspy.frontends.statistics.observations import collect, gathered
from rayspy.frontends.statistics.options import averaged_dims
from rayspy.frontends.statistics.testing import check_room
from rayspy.kernels.statistics.resampling import left_out_weights, mean_weights, resampled_weights
from rayspy.methods.statistics.draws import draws_spec
from rayspy.methods.statistics.intervals import Intervals
from rayspy.planning.plan import make_plan
from rayspy.storage.sources import MemorySource, read_all

Array = NDArray[Any]

KINDS = (AnalogData, TimeLockData, SpectralData, CrossSpectralData)
MOST_SAMPLES = 10**5
_POINTS = 2**14


@frontend_of_many
def bootstrap(
    *data: Any,
    design: str | None = None,
    n: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    latency: Any = "all",
    frequency: Any = "all",
    channel: Any = "all",
    directed: bool = False,
    avgovertime: bool = False,
    avgoverfreq: bool = False,
    avgoverchan: bool = False,
    parallel: bool | None = None,
) -> Call[IntervalData]:
    """Bootstrap intervals of an average over trials or subjects, or of a difference of two averages.

    Whole trials (subjects) are drawn with replacement, never samples.

    Parameters
    ----------
    *data : data objects, or lists of them
        One set of observations, or two whose difference (first minus second) is asked
        for; AnalogData, TimeLockData, SpectralData or CrossSpectralData, see `freqstatistics`.
    design : {'between', 'within'}, optional
        For two sets. 'between' (default): each is resampled by itself. 'within': the same
        subjects in the same order, which are resampled as pairs.
    n : int
        Number of bootstrap samples.
    level : float
        Probability that an interval covers; limits are quantiles of the samples.
    seed : int
        Sample k depends on it and on k only.
    latency, frequency, channel, directed, avgovertime, avgoverfreq, avgoverchan, parallel
        As in `freqstatistics` and `connectivitystatistics`.

    Returns
    -------
    IntervalData
        `.estimate`, `.se`, `.low`, `.high` at each point; limits hold for each point by itself.

    Raises
    ------
    InvalidTypeError, InvalidValueError, MemoryBudgetError, ScratchSpaceError
        As in `freqstatistics`.
    """
    settings = dict(locals())
    count = check_integer(n, "n", 2, MOST_SAMPLES)
    number = check_integer(seed, "seed", 0)
    request = _request("bootstrap", settings)
    weights = resampled_weights(request.groups, request.signs, number, count)
    words = f"bootstrap, {count} samples of {request.words}"
    steps = _intervals("bootstrap", request, weights, None, words)
    return Call("bootstrap", None, steps, about=request.collected.about)


@frontend_of_many
def jackknife(
    *data: Any,
    design: str | None = None,
    level: float = 0.95,
    latency: Any = "all",
    frequency: Any = "all",
    channel: Any = "all",
    directed: bool = False,
    avgovertime: bool = False,
    avgoverfreq: bool = False,
    avgoverchan: bool = False,
    parallel: bool | None = None,
) -> Call[IntervalData]:
    """Jackknife intervals of an average over trials or subjects, or of a difference of two averages.

    One trial (subject) is left out at a time. Limits are the estimate and its standard
    error times the quantile of Student's t, with as many degrees of freedom as there are
    observations less one (less two for two sets between).

    Parameters and result are those of `bootstrap`.
    """
    settings = dict(locals())
    request = _request("jackknife", settings)
    weights = left_out_weights(request.groups, request.signs)
    words = f"jackknife of {request.words}"
    steps = _intervals("jackknife", request, weights, request.groups, words)
    return Call("jackknife", None, steps, about=request.collected.about)


@dataclass(frozen=True, eq=False)
class _Request:
    """Checked observations of one call."""

    collected: Any
    order: NDArray[np.int64]
    pairs: bool
    groups: tuple[int, ...]
    signs: tuple[float, ...]
    level: float
    words: str


def _request(name: str, settings: dict[str, Any]) -> _Request:
    level = check_scalar(settings["level"], "level")
    if not 0 < level < 1:
        raise InvalidValueError("probability between 0 and 1", "level", level)
    directed = check_bool(settings["directed"], "directed")
    design = check_choice(settings["design"], "design", (None, "between", "within"))
    data = settings["data"]
    if len(data) > 2:
        raise InvalidValueError("one set of observations, or two", "data", f"{len(data)} arguments")
    averaged = averaged_dims(settings["avgovertime"], settings["avgoverfreq"], settings["avgoverchan"])
    collected = collect(data, KINDS, selector(settings), averaged, directed)
    check_room(name, collected.space)
    counts = np.bincount(collected.group)
    if len(counts) == 1 and design is not None:
        raise InvalidValueError("two sets of observations for a design", "design", design)
    if (counts < 2).any():
        raise InvalidValueError(
            "at least 2 observations per set", "data", f"{counts.min()}: nothing can be resampled"
        )
    order = np.arange(len(collected))
    if design != "within":
        signs = (1.0, -1.0)[: len(counts)]
        words = " minus ".join(f"the mean of {n}" for n in counts)
        return _Request(collected, order, False, tuple(counts.tolist()), signs, level, words)
    if counts[0] != counts[1]:
        raise InvalidValueError(
            "as many observations in both conditions, of the same subjects in the same order",
            "data",
            f"{counts[0]} and {counts[1]} observations",
        )
    n = int(counts[0])
    words = f"the mean difference of {n} pairs"
    return _Request(collected, order.reshape(2, n).T.ravel(), True, (n,), (1.0,), level, words)


def _intervals(
    name: str, request: _Request, samples: Array, groups: tuple[int, ...] | None, words: str
) -> Steps[IntervalData]:
    """Observations are gathered in this process, intervals are made by workers."""
    from scipy import stats

    weights = np.concatenate([mean_weights(request.groups, request.signs)[None], samples])
    df = sum(request.groups) - len(request.groups)
    quantile = float(stats.t.isf((1 - request.level) / 2, df))
    space = request.collected.space
    observations = gathered(request.collected, request.order, name)
    method = Intervals(observations, request.pairs, weights, groups, request.level, quantile)
    numbers, spec = draws_spec(0, space.n_points, _POINTS)
    done = yield make_plan(name, method, MemorySource(numbers), spec, {})
    found = read_all(done.source)
    estimate, se, low, high = (np.ascontiguousarray(column).reshape(space.shape) for column in found.T)
    return IntervalData(space.dims, dict(space.coords), estimate, se, low, high, request.level, words)
