"""Which channels are neighbours: a matrix, pairs of names, positions, or none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.checks import as_array, check_scalar
from rayspy.errors import InvalidTypeError, InvalidValueError

Array = NDArray[Any]


def neighbours_from_positions(
    positions: Any, channel: Any = None, distance: float | None = None
) -> dict[str, list[str]] | NDArray[np.bool_]:
    """Find neighbouring channels from where they are.

    Parameters
    ----------
    positions : array_like, shape (channel, 2 or 3)
        Coordinates of each channel, in any unit.
    channel : list of str, optional
        Names of the channels. With names the result is a dictionary, which fits any
        order or selection of channels; without them it is a matrix.
    distance : float, optional
        Channels up to this far apart are neighbours, in the unit of `positions`.
        Left out: those joined by a Delaunay triangulation; in three dimensions the
        positions are laid out flat first, around their centre (azimuthal
        equidistant projection of a helmet or cap).

    Returns
    -------
    dict of str to list of str, or ndarray of bool, shape (channel, channel)
        Names of the neighbours of each channel, for `neighbours=` of `freqstatistics` and its kin.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        The positions or the distance cannot be used.
    """
    points = _check_positions(positions)
    if distance is not None:
        limit = check_scalar(distance, "distance", 0)
        apart = np.sqrt(((points[:, None] - points[None]) ** 2).sum(axis=-1))
        near = apart <= limit
    else:
        near = _triangulated(points)
    np.fill_diagonal(near, False)
    if channel is None:
        return np.asarray(near, dtype=bool)
    if not isinstance(channel, (list, tuple, np.ndarray)):
        raise InvalidTypeError(channel, "channel", "list of str;")
    names = [str(name) for name in channel]
    if len(names) != len(points) or len(set(names)) != len(names):
        raise InvalidValueError(f"{len(points)} different names, one per position", "channel", channel)
    return {name: [names[j] for j in np.flatnonzero(row)] for name, row in zip(names, near, strict=True)}


def _check_positions(positions: Any) -> NDArray[np.float64]:
    if not isinstance(positions, (list, tuple, np.ndarray)):
        raise InvalidTypeError(positions, "positions", "array of shape (channel, 2 or 3);")
    points = as_array(positions, "positions")
    if points.ndim != 2 or points.shape[1] not in (2, 3) or points.dtype.kind not in "iuf":
        raise InvalidValueError("array of shape (channel, 2 or 3)", "positions", f"shape {points.shape}")
    if not np.isfinite(points).all():
        raise InvalidValueError("finite coordinates", "positions", "NaN or inf")
    if len(np.unique(points, axis=0)) < len(points):
        raise InvalidValueError("a position of its own for each channel", "positions", "equal positions")
    return points.astype(np.float64)


def _triangulated(points: NDArray[np.float64]) -> NDArray[np.bool_]:
    from scipy.spatial import Delaunay, QhullError

    flat = points if points.shape[1] == 2 else _laid_out(points)
    if len(flat) < 3:
        return np.ones((len(flat), len(flat)), dtype=bool)
    try:
        corners = Delaunay(flat).simplices
    except QhullError:
        raise InvalidValueError(
            "positions that do not lie on a line; give `distance` for those that do", "positions"
        ) from None
    near = np.zeros((len(flat), len(flat)), dtype=bool)
    for a, b in ((0, 1), (1, 2), (2, 0)):
        near[corners[:, a], corners[:, b]] = near[corners[:, b], corners[:, a]] = True
    return near


def _laid_out(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance from the top and direction around it."""
    centred = points - points.mean(axis=0)
    radius = np.sqrt((centred**2).sum(axis=1))
    angle = np.arccos(np.clip(centred[:, 2] / np.where(radius > 0, radius, 1.0), -1.0, 1.0))
    around = np.arctan2(centred[:, 1], centred[:, 0])
    return np.column_stack([angle * np.cos(around), angle * np.sin(around)])


def adjacency(neighbours: Any, channel: Array, places: Array | None = None) -> NDArray[np.bool_]:
    """Turn `neighbours` into a symmetric matrix for these channels.

    Parameters
    ----------
    neighbours : None, array, list of pairs, mapping or list of mappings
        None: channels are apart. Matrix of (channel, channel), dense or sparse.
        Pairs of names. A mapping from names to lists of names. FieldTrip's list of
        ``{"label": name, "neighblabel": names}``. Names of channels that are not in
        the data are left out, but one of each channel in the data has to be known.
    channel : ndarray of str
        Labels.
    places : ndarray of int, optional
        Where these channels are among all of the data: a matrix of all channels is
        accepted, too.
    """
    n = len(channel)
    if neighbours is None:
        return np.zeros((n, n), dtype=bool)
    if hasattr(neighbours, "toarray"):
        neighbours = neighbours.toarray()
    if isinstance(neighbours, Mapping):
        pairs = [(a, b) for a, near in neighbours.items() for b in _names(near)]
        return _from_pairs([*pairs, *((a, a) for a in neighbours)], channel)
    if isinstance(neighbours, np.ndarray) and neighbours.dtype.kind in "biuf":
        if (
            places is not None
            and neighbours.ndim == 2
            and min(neighbours.shape) > places.max()
            and len(neighbours) > n
        ):
            neighbours = neighbours[np.ix_(places, places)]
        return _from_matrix(neighbours, n)
    if isinstance(neighbours, (list, tuple, np.ndarray)):
        return _from_list(list(neighbours), channel)
    raise InvalidTypeError(
        neighbours, "neighbours", "matrix, list of pairs of names, dictionary of names, or None;"
    )


def _names(value: Any) -> Sequence[Any]:
    if isinstance(value, str) or not isinstance(value, (list, tuple, np.ndarray, set)):
        raise InvalidTypeError(value, "neighbours", "lists of names of channels;")
    return list(value)


def _from_matrix(matrix: Array, n: int) -> NDArray[np.bool_]:
    if matrix.shape != (n, n):
        raise InvalidValueError(
            f"matrix of shape ({n}, {n}), a row and a column per selected channel",
            "neighbours",
            f"shape {matrix.shape}",
        )
    if matrix.dtype.kind == "f" and not np.isfinite(matrix).all():
        raise InvalidValueError("matrix of finite numbers or bools", "neighbours", "NaN or inf")
    near = matrix != 0
    if (near != near.T).any():
        i, j = np.argwhere(near != near.T)[0]
        raise InvalidValueError("symmetric matrix", "neighbours", f"entries [{i}, {j}] and [{j}, {i}] differ")
    joined = np.array(near, dtype=bool)
    np.fill_diagonal(joined, False)
    return joined


def _from_list(items: list[Any], channel: Array) -> NDArray[np.bool_]:
    if not items:
        raise InvalidValueError("at least one pair, or None for channels apart", "neighbours", "empty list")
    if all(isinstance(item, Mapping) for item in items):
        try:
            pairs = [
                (item["label"], b) for item in items for b in (*_names(item["neighblabel"]), item["label"])
            ]
        except KeyError as error:
            raise InvalidValueError("entries with 'label' and 'neighblabel'", "neighbours", error) from None
        return _from_pairs(pairs, channel)
    for item in items:
        if isinstance(item, str) or not hasattr(item, "__len__") or len(item) != 2:
            raise InvalidValueError("pairs of names of channels", "neighbours", item)
    return _from_pairs([(a, b) for a, b in items], channel)


def _from_pairs(pairs: list[tuple[Any, Any]], channel: Array) -> NDArray[np.bool_]:
    places = {str(name): k for k, name in enumerate(channel)}
    if len(places) != len(channel):
        raise InvalidValueError("different names of all channels, or a matrix", "neighbours", "equal names")
    near = np.zeros((len(channel), len(channel)), dtype=bool)
    known = set()
    for a, b in pairs:
        for name in (a, b):
            if not isinstance(name, str):
                raise InvalidTypeError(name, "neighbours", "names of channels (str);")
        known |= {a, b}
        if a in places and b in places and a != b:
            near[places[a], places[b]] = near[places[b], places[a]] = True
    missing = [name for name in places if name not in known]
    if missing:
        raise InvalidValueError(
            "neighbours of every channel; leave channels out with `channel=`, or give a matrix",
            "neighbours",
            f"nothing about {', '.join(missing[:5])}{' ...' if len(missing) > 5 else ''}",
        )
    return near


def by_name(near: NDArray[np.bool_], channel: Array) -> dict[str, list[str]]:
    """Names of the neighbours of each channel."""
    return {str(a): [str(b) for b in channel[row]] for a, row in zip(channel, near, strict=True)}


def as_graph(near: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pointers and indices of the neighbours of each channel."""
    pointer = np.concatenate([[0], np.cumsum(near.sum(axis=1))]).astype(np.int64)
    return pointer, np.nonzero(near)[1].astype(np.int64)


def pair_graph(
    near: NDArray[np.bool_], places: tuple[Array, Array], directed: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Graph of pairs of channels: two are neighbours that share one channel, the others being neighbours.

    Parameters
    ----------
    near : ndarray of bool, shape (channel, channel)
        Neighbouring channels.
    places : tuple of ndarray of int
        First and second channel of each pair, as rows of `near`.
    directed : bool
        Whether [i, j] and [j, i] are different pairs.
    """
    number = {pair: k for k, pair in enumerate(zip(places[0].tolist(), places[1].tolist(), strict=True))}
    around = [np.flatnonzero(row).tolist() for row in near]
    pointer, index = [0], []
    for i, j in number:
        others = [(i, k) for k in around[j]] + [(k, j) for k in around[i]]
        if not directed:
            others += [(b, a) for a, b in others]
        index += sorted({number[pair] for pair in others if pair in number} - {number[i, j]})
        pointer.append(len(index))
    return np.array(pointer, dtype=np.int64), np.array(index, dtype=np.int64)
