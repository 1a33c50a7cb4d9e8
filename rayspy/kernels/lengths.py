"""Lengths of Fourier transforms whose factors are cheap, and how many are done at once."""

from __future__ import annotations

from functools import lru_cache

LANES = 32
"""Signals that are transformed side by side."""
_COSTS = {2: 0.5, 3: 0.53, 4: 0.67, 5: 0.9}
"""Measured time of a pass per point; only the ratios matter."""
_SHORTEST_PART = 384
"""Shorter ones are not much faster per point; filters in as many parts are put in place together."""


def radices_of(n: int) -> list[int]:
    """Factors of a length, the last of which is 4.

    Raises
    ------
    ValueError
        The length is not 4 times a product of 2, 3 and 5.
    """
    found, rest = [], n // 4
    for radix in (5, 3, 4, 2):
        while rest % radix == 0 and rest > 1:
            found.append(radix)
            rest //= radix
    if n % 4 or rest != 1:
        raise ValueError(f"length of a transform: {n} is not 4 times a product of 2, 3 and 5")
    return [*found, 4]


@lru_cache(maxsize=4096)
def fast_length(n: int) -> int:
    """The length of at least n points, 4 times a product of 2, 3 and 5, whose transform is fastest."""
    odd = [a * b for a in _powers(3, 2 * n) for b in _powers(5, 2 * n)]
    return min((m << max(2, (-(-n // m) - 1).bit_length()) for m in odd), key=_cost)


def _powers(base: int, at_most: int) -> list[int]:
    found = [1]
    while found[-1] * base <= at_most:
        found.append(found[-1] * base)
    return found


def _cost(n: int) -> float:
    return n * sum(_COSTS[radix] for radix in radices_of(n))


@lru_cache(maxsize=4096)
def parts_of(n: int, width: int) -> int:
    """In how many equal parts a transform is done fastest of which so many neighbouring bins are not zero."""
    candidates = [p for p in range(2, n // max(width, _SHORTEST_PART) + 1) if n % p == 0]
    return min([1, *(p for p in candidates if is_fast(n // p))], key=lambda p: _cost(n // p) * p)


def is_fast(n: int) -> bool:
    """Whether a length is 4 times a product of 2, 3 and 5."""
    while n > 0 and n % 8 == 0:
        n //= 2
    for prime in (3, 5):
        while n > 0 and n % prime == 0:
            n //= prime
    return n == 4
