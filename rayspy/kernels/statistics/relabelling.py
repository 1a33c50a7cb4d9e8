"""Relabellings: draw k comes from (seed, k) alone, so that any worker can make it, and more can be added."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Relabelling:
    """How the labels of observations may be exchanged.

    Parameters
    ----------
    kind : {'permute', 'flip'}
        Labels change places within units, or every observation keeps or changes its sign.
    codes : tuple of int
        Label of each observation: equal labels are not told apart. With 'flip' only
        their number counts.
    unit_size : int
        Labels change places within so many consecutive observations; all of them
        in designs between, the conditions of one subject in designs within.
    seed : int
        With the number of a draw the only thing that draws depend on.
    exact : bool
        Draw k is the k-th of all relabellings; each appears once.
    """

    kind: str
    codes: tuple[int, ...]
    unit_size: int
    seed: int = 0
    exact: bool = False

    @cached_property
    def total(self) -> int:
        """Number of all different relabellings, the observed one included."""
        if self.kind == "flip":
            return 1 << len(self.codes)
        return int(math.prod(arrangements(unit) for unit in self._units))

    @cached_property
    def _units(self) -> list[tuple[int, ...]]:
        n = self.unit_size
        return [self.codes[first : first + n] for first in range(0, len(self.codes), n)]

    def weights(self, base: Array, k: int) -> Array:
        """Weights of draw k from those of the observed labels (draw 0), shape (row, observation)."""
        if k == 0:
            return base
        if self.kind == "flip":
            signed: Array = base * self._signs(k)
            return signed
        placed: Array = base[:, self._order(k)]
        return placed

    def design(self, labels: Array, k: int) -> Array:
        """Labels, or signs, of the observations in draw k."""
        if self.kind == "flip":
            return self._signs(k) if k else np.ones(len(self.codes))
        return labels if k == 0 else labels[self._order(k)]

    def _random(self, k: int) -> np.random.Generator:
        return np.random.Generator(np.random.Philox(np.random.SeedSequence(self.seed, spawn_key=(k,))))

    def _signs(self, k: int) -> Array:
        n = len(self.codes)
        if self.exact:
            return np.array([-1.0 if (k >> i) & 1 else 1.0 for i in range(n)])
        return 1.0 - 2.0 * self._random(k).integers(0, 2, n)

    def _order(self, k: int) -> Indices:
        """Place that each observation takes its label from."""
        if self.exact:
            return self._enumerated(k)
        random, n = self._random(k), self.unit_size
        if n == len(self.codes):
            return random.permutation(n)
        keys = random.random((len(self._units), n)).argsort(axis=1, kind="stable")
        return (keys + n * np.arange(len(keys))[:, None]).ravel()

    def _enumerated(self, k: int) -> Indices:
        order: list[int] = []
        for unit in self._units:
            k, digit = divmod(k, arrangements(unit))
            place = (arrangement_number(unit) + digit) % arrangements(unit)
            left = {code: [i for i, c in enumerate(unit) if c == code] for code in set(unit)}
            first = len(order)
            order += [first + left[code].pop(0) for code in arrangement(unit, place)]
        return np.array(order, dtype=np.int64)


def arrangements(codes: tuple[int, ...]) -> int:
    """Number of different orders of some labels."""
    counts = (codes.count(code) for code in set(codes))
    return math.factorial(len(codes)) // math.prod(math.factorial(n) for n in counts)


def arrangement_number(codes: tuple[int, ...]) -> int:
    """Place of an order of labels among all of them in ascending order."""
    left, total, number = sorted(codes), arrangements(codes), 0
    for code in codes:
        smaller = sum(c < code for c in left)
        number += total * smaller // len(left)
        total = total * left.count(code) // len(left)
        left.remove(code)
    return number


def arrangement(codes: tuple[int, ...], number: int) -> list[int]:
    """Order of labels with this number; see `arrangement_number`."""
    left, total, found = sorted(codes), arrangements(codes), []
    while left:
        for code in sorted(set(left)):
            share = total * left.count(code) // len(left)
            if number < share:
                found.append(code)
                left.remove(code)
                total = share
                break
            number -= share
    return found
