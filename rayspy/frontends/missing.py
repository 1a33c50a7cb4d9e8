"""NaN in the input: which trials have it is told, and averages may do without them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.checks import check_choice
from rayspy.data.base import BaseData
from rayspy.planning.plan import Plan, Receipt
from rayspy.progress import warn

KEY, COUNTS = "nan_trials", "n_trials"
"""Entries of ``info``: numbers of trials with NaN; trials in the average of each channel."""
WAYS = ("propagate", "omit")
_SHOWN = 10
"""As many numbers of trials are in a warning."""


def check_nan(value: Any) -> bool:
    """Accept 'propagate' or 'omit'; returns whether trials with NaN are left out."""
    return bool(check_choice(value, "nan", WAYS) == "omit")


@dataclass
class NanTrials:
    """Numbers of the trials of a plan's input that have NaN, from the receipts of its blocks."""

    plan: Plan
    found: set[int] = field(default_factory=set)

    def __call__(self, receipt: Receipt) -> None:
        """Take note of one block."""
        self.found.update(receipt.nan_trials)

    def numbers(self) -> list[int]:
        """Numbers that the trials have in the input object."""
        ids = self.plan.spec.trial_ids
        return sorted(k if ids is None else int(ids[k]) for k in self.found)

    def tell(self, *made: BaseData) -> None:
        """Write them to ``info`` of the results, and warn."""
        omits = self.plan.reduction is not None and self.plan.reduction.omits
        tell_nan(self.plan.name, self.numbers(), *made, after=": left out of the average" if omits else "")


def tell_nan(function: str, numbers: list[int], *made: BaseData, after: str = "") -> None:
    """Write numbers of trials with NaN to ``info`` of results, and warn if there are any."""
    numbers = sorted(set(numbers))
    for data in made:
        data.info.pop(KEY, None)
        if numbers:
            data.info[KEY] = numbers
    if numbers:
        shown = ", ".join(map(str, numbers[:_SHOWN])) + (" ..." if len(numbers) > _SHOWN else "")
        warn(function, f"Data contains NaNs! In trials {shown}{after}; see `.info['{KEY}']`")


def counts_in(data: BaseData) -> list[int]:
    """Number of trials per channel, from the result that has it at every place."""
    if data.data is None:
        raise RuntimeError("no counts")
    axis = data.dimord.index("channel")
    index = tuple(slice(None) if k == axis else 0 for k in range(len(data.dimord)))
    counts: NDArray[Any] = np.asarray(data.data[index])
    return [int(n) for n in counts]
