"""Settings of tests, checked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from rayspy.checks import check_bool, check_choice, check_integer, check_scalar, is_number
from rayspy.errors import InvalidTypeError, InvalidValueError

METHODS = ("montecarlo", "analytic")
CORRECTIONS = ("cluster", "tfce", "max", "fdr", "holm", "bonferroni", "no")
CLUSTER_STATISTICS = ("maxsum", "maxsize", "wcm")
TAIL_CORRECTIONS = ("no", "alpha", "prob")
MOST_RELABELLINGS = 10**8
"""More relabellings than this are not enumerated."""


@dataclass(frozen=True)
class Options:
    """How p values are made.

    `threshold` is None until it is derived from `clusteralpha`.
    """

    method: str
    correctm: str
    numrandomization: int | None
    seed: int
    alpha: float
    tail: int | None
    clusteralpha: float
    clusterstatistic: str
    threshold: float | None
    wcm_weight: float
    tfce_e: float
    tfce_h: float
    step: float | None
    start: float

    @property
    def signs(self) -> int:
        """-1, 0 or 1."""
        return self.tail or 0

    def with_tail(self, kind: str) -> Options:
        """Complete and check the tail for a kind of statistic."""
        if kind == "F":
            if self.tail in (0, -1):
                raise InvalidValueError("1 for F statistics, which have one side only", "tail", self.tail)
            return replace(self, tail=1)
        return replace(self, tail=self.tail or 0)


def check_options(given: dict[str, Any]) -> Options:
    """Check every setting; raises an error that names it."""
    method = check_choice(given["method"], "method", METHODS)
    correctm = check_choice(
        "no" if given["correctm"] is False else given["correctm"], "correctm", CORRECTIONS
    )
    if method == "analytic" and correctm in ("cluster", "tfce", "max"):
        raise InvalidValueError(
            "'fdr', 'holm', 'bonferroni' or 'no' with method='analytic'; the others need method='montecarlo'",
            "correctm",
            correctm,
        )
    tail = given["tail"]
    if tail is not None:
        tail = check_integer(tail, "tail", -1, 1)
    clustertail = given["clustertail"]
    if clustertail is not None and check_integer(clustertail, "clustertail", -1, 1) != (tail or 0):
        raise InvalidValueError(f"that of `tail` ({tail or 0})", "clustertail", clustertail)
    correcttail = given["correcttail"]
    check_choice("no" if correcttail is False else correcttail, "correcttail", (None, *TAIL_CORRECTIONS))
    step = given["step"]
    return Options(
        method=method,
        correctm=correctm,
        numrandomization=_check_randomization(given["numrandomization"]),
        seed=check_integer(given["seed"], "seed", 0),
        alpha=_probability(given["alpha"], "alpha"),
        tail=tail,
        clusteralpha=_probability(given["clusteralpha"], "clusteralpha"),
        clusterstatistic=check_choice(given["clusterstatistic"], "clusterstatistic", CLUSTER_STATISTICS),
        threshold=_check_threshold(given["clusterthreshold"]),
        wcm_weight=check_scalar(given["wcm_weight"], "wcm_weight", 0),
        tfce_e=check_scalar(given["tfce_E"], "tfce_E", 0),
        tfce_h=check_scalar(given["tfce_H"], "tfce_H", 0),
        step=None if step is None else _positive(step, "step"),
        start=check_scalar(given["start"], "start", 0),
    )


def _check_randomization(value: Any) -> int | None:
    """Accept a number of relabellings; None for all."""
    if isinstance(value, str):
        if value != "all":
            raise InvalidValueError("whole number, 1 or more, or 'all'", "numrandomization", value)
        return None
    return check_integer(value, "numrandomization", 1)


def _probability(value: Any, name: str) -> float:
    number = check_scalar(value, name)
    if not 0 < number < 1:
        raise InvalidValueError("probability between 0 and 1", name, value)
    return number


def _positive(value: Any, name: str) -> float:
    number = check_scalar(value, name)
    if number <= 0:
        raise InvalidValueError("value to be greater than 0", name, value)
    return number


def _check_threshold(value: Any) -> float | None:
    if isinstance(value, str):
        if value != "parametric":
            raise InvalidValueError("'parametric' or a number", "clusterthreshold", value)
        return None
    if not is_number(value):
        raise InvalidTypeError(value, "clusterthreshold", "'parametric' or a number;")
    return _positive(value, "clusterthreshold")


def averaged_dims(avgovertime: Any, avgoverfreq: Any, avgoverchan: Any) -> tuple[str, ...]:
    """Names of the dimensions to average over."""
    wanted = {
        "time": check_bool(avgovertime, "avgovertime"),
        "freq": check_bool(avgoverfreq, "avgoverfreq"),
        "channel": check_bool(avgoverchan, "avgoverchan"),
    }
    dims = tuple(dim for dim, average in wanted.items() if average)
    return (*dims, "channelcmb") if "channel" in dims else dims


def is_all(value: Any) -> bool:
    """Whether a selection takes everything."""
    return value is None or (isinstance(value, str) and value == "all")
