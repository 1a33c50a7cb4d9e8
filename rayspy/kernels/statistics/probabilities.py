"""p values from counts, and their correction for many points."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

TIE = 1e-10
"""Values that differ by less than this share of their size are equal: relabellings that exchange
equal groups give the same statistic up to rounding."""


def at_least(values: Array, observed: Array) -> Array:
    """Whether values reach what was observed, equal ones included."""
    reached: Array = values >= observed - TIE * np.abs(observed)
    return reached


def p_of_largest(observed: Array, distribution: Array) -> Array:
    """Share of relabellings, the observed one among them, whose largest value reaches each observed value.

    ``(1 + count) / (1 + n)`` (Phipson & Smyth 2010, Stat. Appl. Genet. Mol. Biol. 9:39);
    NaN stays NaN.
    """
    ordered = np.sort(distribution)
    wanted = observed - TIE * np.abs(observed)
    count = len(ordered) - np.searchsorted(ordered, wanted, side="left")
    p = (1.0 + count) / (1.0 + len(ordered))
    return np.where(np.isnan(observed), np.nan, p)


def corrected(p: Array, method: str) -> Array:
    """Adjusted p values; NaN is left out and stays.

    Parameters
    ----------
    p : ndarray
        p values.
    method : {'no', 'bonferroni', 'holm', 'fdr'}
        'holm': Holm 1979, Scand. J. Stat. 6:65. 'fdr': Benjamini & Hochberg 1995,
        J. R. Stat. Soc. B 57:289.
    """
    found, known = p.copy(), ~np.isnan(p)
    raw = p[known]
    n = raw.size
    if method == "bonferroni":
        found[known] = np.minimum(1.0, raw * n)
    elif method in ("holm", "fdr"):
        order = np.argsort(raw, kind="stable")
        ranks = np.arange(n)
        if method == "holm":
            stepped = np.maximum.accumulate(raw[order] * (n - ranks))
        else:
            stepped = np.minimum.accumulate((raw[order] * n / (ranks + 1.0))[::-1])[::-1]
        adjusted = np.empty(n)
        adjusted[order] = np.minimum(1.0, stepped)
        found[known] = adjusted
    return found


def of_model(statistic: Array, kind: str, df1: int, df2: int, tail: int) -> Array:
    """P values of t, F or r from their distributions under normal noise."""
    from scipy import stats

    if kind == "F":
        p: Array = stats.f.sf(statistic, df1, df2)
        return p
    with np.errstate(divide="ignore", invalid="ignore"):
        t = statistic * np.sqrt(df2 / (1.0 - statistic**2)) if kind == "r" else statistic
    return np.asarray(2 * stats.t.sf(np.abs(t), df2) if tail == 0 else stats.t.sf(tail * t, df2))


def critical(kind: str, df1: int, df2: int, tail: int, alpha: float) -> float:
    """Value beyond which the statistic has the probability alpha, both sides together for tail 0."""
    from scipy import stats

    if kind == "F":
        return float(stats.f.isf(alpha, df1, df2))
    t = float(stats.t.isf(alpha if tail else alpha / 2, df2))
    return t / float(np.sqrt(df2 + t**2)) if kind == "r" else t
