"""The user's own Dask collections: rayspy's data as Dask arrays, Dask arrays on the attached Ray."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from rayspy import cluster
from rayspy.config import config
from rayspy.data.base import BaseData
from rayspy.errors import InvalidTypeError, ParallelError
from rayspy.executors.ray_actors import release_actors
from rayspy.storage.sources import ArraySource, PartsSource
from rayspy_compat import attach
from rayspy_compat import client as clients
from rayspy_compat.on_ray import SameThread, ray_dask_get


def to_dask(data: Any) -> Any:
    """Return the array of a data object as a Dask array; nothing is read yet.

    The data object has to live as long as the Dask array is used.

    Parameters
    ----------
    data : AnalogData, SpectralData, ...
        The object.

    Returns
    -------
    dask.array.Array
        With one chunk per stored part where parts form a grid, else chunks of
        ``spy.config.block_bytes`` along time.
    """
    import dask.array

    if not isinstance(data, BaseData):
        raise InvalidTypeError(data, "data", "rayspy data object;")
    chunks = _chunks(data.source, data.dimord)
    return dask.array.from_array(data.data, chunks=chunks, asarray=True, name=False)


def _chunks(source: ArraySource, dims: Any) -> tuple[tuple[int, ...], ...]:
    if isinstance(source, PartsSource):
        edges = [sorted({part.start[axis] for part in source.parts}) for axis in range(len(source.shape))]
        if int(np.prod([len(found) for found in edges])) == len(source.parts):
            return tuple(_lengths(found, n) for found, n in zip(edges, source.shape, strict=True))
    along = list(dims).index("time") if "time" in dims else 0
    row = source.dtype.itemsize * int(np.prod(source.shape, dtype=np.int64)) // max(1, source.shape[along])
    step = max(1, config.block_bytes // max(1, row))
    return tuple(
        _lengths(list(range(0, n, step)), n) if axis == along else (n,) for axis, n in enumerate(source.shape)
    )


def _lengths(starts: list[int], stop: int) -> tuple[int, ...]:
    return tuple(b - a for a, b in zip(starts, [*starts[1:], stop], strict=True))


@contextlib.contextmanager
def dask_on_ray() -> Iterator[None]:
    """Run Dask collections on Ray inside a ``with`` block: the attached client's, or the connected one.

    Raises
    ------
    ParallelError
        There is neither a Dask client whose resources Ray could use nor a Ray.
    """
    import dask

    _need_ray()
    get = ray_dask_get()
    release_actors()

    def on_ray(graph: Any, keys: Any, **options: Any) -> Any:
        return get(graph, keys, **{"pool": SameThread(), **options})

    with dask.config.set(scheduler=on_ray):
        yield


def _need_ray() -> None:
    client = clients.running_client()
    if client is not None:
        attach.attach(client, clients.check_workers_available(client))
    if not cluster.ray_is_connected():
        raise ParallelError(
            "no Ray to run Dask collections on: start a Dask client on whose workers Ray can run, "
            "or connect with `ray.init(...)`"
        )
