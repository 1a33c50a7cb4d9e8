"""Designs: which observations are compared, and how their labels may be exchanged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.checks import as_array, check_integer
from rayspy.errors import InvalidTypeError, InvalidValueError
from rayspy.kernels.statistics import models
from rayspy.kernels.statistics.models import Model
from rayspy.kernels.statistics.relabelling import Relabelling

Array = NDArray[Any]
Indices = NDArray[np.int64]

WORDS = ("between", "within", "onesample")
STATISTICS = (
    "indepsamplesT", "depsamplesT", "onesampleT", "indepsamplesF", "depsamplesF", "regression", "correlation",
)  # fmt: skip
_ALIASES = {
    "depsamplesFunivariate": "depsamplesF",
    "indepsamplesregrT": "regression",
    "correlationT": "regression",
}
"""FieldTrip's names of the same statistics."""
_DESIGN_OF = {
    "indepsamplesT": "between",
    "indepsamplesF": "between",
    "depsamplesT": "within",
    "depsamplesF": "within",
    "onesampleT": "onesample",
    "regression": "regressor",
    "correlation": "regressor",
}


@dataclass(frozen=True, eq=False)
class Design:
    """What is tested.

    Attributes
    ----------
    order : ndarray of int
        Number of the observation that is row i of the data.
    model : Model
        Statistic.
    relabelling : Relabelling
        How labels are exchanged, without a seed.
    statistic : str
        Its name.
    words : str
        The design in words.
    cells : tuple of int
        Observations per condition, for effect sizes; empty for regressors.
    """

    order: Indices
    model: Model
    relabelling: Relabelling
    statistic: str
    words: str
    cells: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Request:
    """What a call says about its design."""

    design: Any
    statistic: Any
    subjects: Any
    regressor: Any
    covariates: Any
    ivar: Any
    uvar: Any


def check_statistic(statistic: Any) -> str | Callable[..., Any] | None:
    """Accept the name of a statistic, also in FieldTrip's spelling, or a function."""
    if statistic is None:
        return None
    if callable(statistic):
        function: Callable[..., Any] = statistic
        return function
    if not isinstance(statistic, str):
        raise InvalidTypeError(statistic, "statistic", "name of a statistic, or function;")
    name = statistic.removeprefix("ft_statfun_")
    name = _ALIASES.get(name, name)
    if name not in STATISTICS:
        legal = ", ".join(f"'{s}'" for s in STATISTICS)
        raise InvalidValueError(f"one of {legal}, or a function", "statistic", statistic)
    return name


def design_of(request: Request, group: Indices) -> Design:
    """Find out what is to be tested.

    Parameters
    ----------
    request : Request
        What the call says.
    group : ndarray of int
        Number of the argument that each observation came with.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        The design cannot be tested or permuted; says why.
    """
    statistic = check_statistic(request.statistic)
    word, codes, units, regressor = _resolved(request, statistic, group)
    covariates = _covariates(request.covariates, len(group))
    if word == "regressor":
        return _regression(statistic, regressor, covariates)
    if covariates.size and not (word == "between" and len(np.unique(codes)) == 2 and not callable(statistic)):
        raise InvalidValueError(
            "no covariates for this design: they go with a regressor, or with two groups "
            "(design='between', statistic='indepsamplesT')",
            "covariates",
            f"design '{word}'",
        )
    if word == "onesample":
        return _one_sample(statistic, len(group))
    if word == "between":
        return _between(statistic, codes, covariates)
    return _within(statistic, codes, units)


def _resolved(
    request: Request, statistic: Any, group: Indices
) -> tuple[str, Indices, Indices | None, NDArray[np.float64]]:
    """Design as a word, condition and unit per observation, and the regressor."""
    none = np.empty(0)
    wanted = _DESIGN_OF.get(statistic) if isinstance(statistic, str) else None
    units = _labels(request.subjects, "subjects", len(group))
    if request.regressor is not None:
        if request.design is not None or (wanted or "regressor") != "regressor":
            raise InvalidValueError(
                "no `design`, and statistic 'regression' or 'correlation', where a regressor is given",
                "regressor",
                f"with design {request.design}, statistic {request.statistic}",
            )
        return "regressor", group, None, _numbers(request.regressor, "regressor", len(group))
    if request.design is not None and not isinstance(request.design, str):
        return _from_table(request, wanted, units, len(group))
    word = request.design
    if word is not None and word not in WORDS:
        raise InvalidValueError(
            f"one of {', '.join(repr(w) for w in WORDS)}, or an array", "design", request.design
        )
    if request.ivar is not None or request.uvar is not None:
        raise InvalidValueError("`ivar` and `uvar` only where `design` is an array", "ivar/uvar", "no array")
    if wanted == "regressor":
        raise InvalidValueError("a regressor, one number per observation", "regressor", "None")
    word = word or wanted or ("onesample" if group.max() == 0 else "between")
    if wanted is not None and wanted != word:
        raise InvalidValueError(f"statistic for design '{word}'", "statistic", request.statistic)
    return word, group, units, none


def _from_table(
    request: Request, wanted: str | None, units: Indices | None, n: int
) -> tuple[str, Indices, Indices | None, NDArray[np.float64]]:
    """Design from an array: a condition per observation, or FieldTrip's rows with `ivar` and `uvar`."""
    if not isinstance(request.design, (list, tuple, np.ndarray)):
        raise InvalidTypeError(request.design, "design", "'between', 'within', 'onesample' or array;")
    table = as_array(request.design, "design")
    table = table[None] if table.ndim == 1 else table
    if table.ndim != 2 or table.shape[1] != n:
        raise InvalidValueError(
            f"a column per observation ({n})", "design", f"array of shape {np.shape(request.design)}"
        )
    row = _row(request.ivar, "ivar", len(table), 1)
    if request.uvar is not None:
        if units is not None:
            raise InvalidValueError("either `subjects` or `uvar`", "uvar", request.uvar)
        other = _row(request.uvar, "uvar", len(table), None)
        if other == row:
            raise InvalidValueError("another row than `ivar`", "uvar", request.uvar)
        units = _labels(table[other], "design", n)
    if wanted == "regressor":
        return "regressor", np.zeros(n, np.int64), None, _numbers(table[row], "design", n)
    codes = _labels(table[row], "design", n)
    if codes is None:
        raise InvalidValueError("a condition per observation", "design", "None")
    word = wanted or ("within" if units is not None else "between")
    if word == "onesample":
        return word, np.zeros(n, np.int64), None, np.empty(0)
    if word == "within" and units is None:
        raise InvalidValueError(
            "a subject per observation: `subjects`, or `uvar` and its row of `design`", "subjects", "None"
        )
    if word == "between":
        units = None
    return word, codes, units, np.empty(0)


def _row(value: Any, name: str, n_rows: int, default: int | None) -> int:
    """Row of a design, counted from 1 as in FieldTrip."""
    return check_integer(default if value is None else value, name, 1, n_rows) - 1


def _labels(value: Any, name: str, n: int) -> Indices | None:
    """Numbers 0, 1 ... for a label per observation, in ascending order of the labels."""
    if value is None:
        return None
    if not isinstance(value, (list, tuple, np.ndarray)):
        raise InvalidTypeError(value, name, "list or array with a label per observation;")
    array = as_array(value, name)
    if array.shape != (n,) or array.dtype.kind not in "biufU":
        raise InvalidValueError(
            f"a number or name for each of {n} observations", name, f"shape {array.shape}"
        )
    if array.dtype.kind == "f" and np.isnan(array).any():
        raise InvalidValueError("labels without NaN", name, "NaN")
    return np.unique(array, return_inverse=True)[1].astype(np.int64)


def _numbers(value: Any, name: str, n: int) -> NDArray[np.float64]:
    if not isinstance(value, (list, tuple, np.ndarray)):
        raise InvalidTypeError(value, name, "list or array with a number per observation;")
    array = as_array(value, name)
    if array.shape != (n,) or array.dtype.kind not in "biuf" or not np.isfinite(array.astype(float)).all():
        raise InvalidValueError(f"finite numbers for each of {n} observations", name, _told(array))
    if (array == array[0]).all():
        raise InvalidValueError("numbers that differ between observations", name, f"all {array[0]}")
    return array.astype(np.float64)


def _told(array: Array) -> str:
    return f"{array.dtype} of shape {array.shape}"


def _covariates(value: Any, n: int) -> NDArray[np.float64]:
    """Covariates as (covariate, observation); a constant is no covariate."""
    if value is None:
        return np.empty((0, n))
    if not isinstance(value, (list, tuple, np.ndarray)):
        raise InvalidTypeError(
            value, "covariates", "array of shape (observation,) or (observation, covariate);"
        )
    array = as_array(value, "covariates")
    array = array[:, None] if array.ndim == 1 else array
    if array.ndim != 2 or len(array) != n or not array.shape[1] or array.dtype.kind not in "biuf":
        raise InvalidValueError(f"a row of numbers for each of {n} observations", "covariates", _told(array))
    if not np.isfinite(array.astype(float)).all():
        raise InvalidValueError("finite numbers", "covariates", "NaN or inf")
    constant = np.flatnonzero((array == array[0]).all(axis=0))
    if constant.size:
        raise InvalidValueError(
            "covariates that differ between observations; a constant is always included",
            "covariates",
            f"column {constant[0]} is constant",
        )
    return np.ascontiguousarray(array.T, dtype=np.float64)


# -- kinds of designs ------------------------------------------------------------------------


def _one_sample(statistic: Any, n: int) -> Design:
    if n < 2:
        raise InvalidValueError("at least 2 observations", "data", f"{n}: nothing can be exchanged")
    signs = Relabelling("flip", (0,) * n, 1)
    words = f"mean of {n} observations against 0"
    if callable(statistic):
        return _by_function(statistic, np.arange(n), np.ones(n), signs, words, (n,))
    return Design(np.arange(n), models.one_sample(n), signs, "onesampleT", words, (n,))


def _between(statistic: Any, codes: Indices, covariates: NDArray[np.float64]) -> Design:
    counts = np.bincount(codes)
    k, n = len(counts), len(codes)
    if k < 2:
        raise InvalidValueError(
            "two or more groups: an object or list each, or `design` with a label per observation", "data", k
        )
    if statistic == "indepsamplesT" and k > 2:
        raise InvalidValueError("'indepsamplesF' for more than two groups", "statistic", statistic)
    small = np.flatnonzero(counts < 2)
    if small.size:
        raise InvalidValueError(
            "at least 2 observations per group: one alone has no variance",
            "data",
            f"{counts[small[0]]} in group {small[0]}",
        )
    words = f"{k} groups of {_listed(counts)} observations"
    order = np.arange(n)
    cells = tuple(int(c) for c in counts)
    if callable(statistic):
        swap = Relabelling("permute", tuple(int(c) for c in codes), n)
        return _by_function(statistic, order, codes, swap, words, cells)
    if covariates.size:
        model = _linear((codes == 0).astype(np.float64), covariates, "t", "design")
        words += f", {len(covariates)} covariate{'s' * (len(covariates) > 1)}"
        return Design(order, model, _permuted(model), "indepsamplesT", words, cells)
    if statistic == "indepsamplesF" or k > 2:
        model = models.one_way(codes)
        return Design(order, model, _permuted(model), "indepsamplesF", words, cells)
    model = models.two_samples(codes)
    return Design(order, model, _permuted(model), "indepsamplesT", words, cells)


def _listed(counts: Array) -> str:
    return ", ".join(str(c) for c in counts[:-1]) + f" and {counts[-1]}"


def _within(statistic: Any, codes: Indices, units: Indices | None) -> Design:
    counts = np.bincount(codes)
    k = len(counts)
    if k < 2:
        raise InvalidValueError(
            "two or more conditions: an object or list each, or `design` with a label per observation",
            "data",
            k,
        )
    if units is None:
        if (counts != counts[0]).any():
            raise InvalidValueError(
                "as many observations in each condition, in the order of the same subjects, for a design "
                "within; name them with `subjects` if their order differs",
                "data",
                f"{_listed(counts)} observations",
            )
        units = np.concatenate([np.arange(c) for c in counts])[np.argsort(np.argsort(codes, kind="stable"))]
    table = np.zeros((int(units.max()) + 1, k), dtype=np.int64)
    np.add.at(table, (units, codes), 1)
    if (table != 1).any():
        i, j = np.argwhere(table != 1)[0]
        raise InvalidValueError(
            "each subject exactly once in each condition, for a design within",
            "subjects",
            f"subject {i} is in condition {j} {table[i, j]} times",
        )
    if statistic == "depsamplesT" and k > 2:
        raise InvalidValueError("'depsamplesF' for more than two conditions", "statistic", statistic)
    n = len(table)
    if n < 2:
        raise InvalidValueError("at least 2 subjects", "data", f"{n}: there is no variance between them")
    order = np.lexsort((codes, units))
    words = f"{k} conditions within {n} subjects"
    swap = Relabelling("permute", tuple(range(k)) * n, k)
    if callable(statistic):
        return _by_function(statistic, order, codes[order], swap, words, (n,) * k)
    if k == 2 and statistic != "depsamplesF":
        flips = Relabelling("flip", (0,) * n, 1)
        return Design(order, models.pairs(n), flips, "depsamplesT", words, (n, n))
    return Design(order, models.repeated(n, k), swap, "depsamplesF", words, (n,) * k)


def _regression(statistic: Any, regressor: NDArray[np.float64], covariates: NDArray[np.float64]) -> Design:
    n = len(regressor)
    if n < len(covariates) + 3:
        raise InvalidValueError(
            f"at least {len(covariates) + 3} observations for a regressor and {len(covariates)} covariates",
            "data",
            n,
        )
    words = f"regressor over {n} observations, {len(covariates)} covariates"
    if callable(statistic):
        if covariates.size:
            raise InvalidValueError("no covariates with a function of your own", "covariates", "given")
        codes = np.unique(regressor, return_inverse=True)[1]
        swap = Relabelling("permute", tuple(int(c) for c in codes), n)
        return _by_function(statistic, np.arange(n), regressor, swap, words, ())
    name = statistic or "regression"
    model = _linear(regressor, covariates, "r" if name == "correlation" else "t", "regressor")
    return Design(np.arange(n), model, _permuted(model), name, words)


def _linear(regressor: NDArray[np.float64], covariates: NDArray[np.float64], kind: str, name: str) -> Model:
    if len(regressor) < len(covariates) + 3:
        raise InvalidValueError(
            f"at least {len(covariates) + 3} observations for {len(covariates)} covariates",
            "covariates",
            len(regressor),
        )
    try:
        return models.regression(regressor, covariates, kind)
    except ValueError as error:
        if str(error) == "regressor":
            raise InvalidValueError(
                f"covariates that do not explain the {name} entirely", "covariates", "collinear"
            ) from None
        raise InvalidValueError(
            "covariates that are linearly independent", "covariates", "collinear"
        ) from None


def _permuted(model: Model) -> Relabelling:
    """Exchange all observations; equal columns of weights are not told apart."""
    n = model.weights.shape[1]
    codes = np.unique(model.weights, axis=1, return_inverse=True)[1].ravel()
    return Relabelling("permute", tuple(int(c) for c in codes), n)


class Shipped:
    """A function of the user's that any worker can be sent, also one that was defined in a session."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def __call__(self, data: Array, design: Array) -> Any:
        """Call it."""
        return self.function(data, design)

    def __reduce__(self) -> tuple[Any, ...]:
        import cloudpickle

        return _shipped, (cloudpickle.dumps(self.function),)


def _shipped(function: bytes) -> Shipped:
    import cloudpickle

    return Shipped(cloudpickle.loads(function))


def _by_function(
    function: Callable[..., Any],
    order: Indices,
    labels: Array,
    swap: Relabelling,
    words: str,
    cells: tuple[int, ...],
) -> Design:
    n = len(order)
    model = Model("function", np.zeros((1, n)), 1, 0, 0, "", np.empty((0, n)), 1, Shipped(function), labels)
    name = getattr(function, "__name__", type(function).__name__)
    return Design(order, model, swap, name, words, cells)
