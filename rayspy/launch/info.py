"""Tell in a few lines what a computation would run on."""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rayspy import cluster
from rayspy.config import config
from rayspy.errors import PathError
from rayspy.launch.connection import own_versions
from rayspy.limits import memory_budget, usable_cpus
from rayspy.storage.scratch import scratch_root

_NODES_LISTED = 16


def cluster_info() -> None:
    """Print what computations would run on now: nodes, CPUs, memory, scratch folder and versions.

    Connects to a Ray that is advertised (``RAY_ADDRESS``, a Ray job), starts nothing.
    """
    print("\n".join(info_lines()))


def info_lines() -> list[str]:
    """Return what `cluster_info` prints."""
    return [*_where(), _scratch(), _versions()]


def _where() -> Iterator[str]:
    client = _dask_client()
    if client is not None:
        yield f"Dask    {client!r}"
        return
    if cluster.running_in_ray() is None:
        cpus = usable_cpus()
        yield f"local   {cpus} thread{'s' * (cpus != 1)} on {platform.node()}, no Ray or Dask is running"
        yield f"memory  up to {_size(memory_budget())} for blocks"
        return
    info = cluster.connect_existing()
    working = [node for node in info.nodes if node.cpus]
    yield f"Ray     {info.address}, dashboard: {info.dashboard or 'off'}"
    yield (
        f"nodes   {len(working)} with {info.cpus:g} CPUs and {_size(sum(n.memory for n in working))}, "
        f"object stores {_size(sum(node.object_store for node in working))}"
    )
    for node in working[:_NODES_LISTED]:
        yield f"        {node.host}: {node.cpus:g} CPUs, {_size(node.memory)}"
    if len(working) > _NODES_LISTED:
        yield f"        and {len(working) - _NODES_LISTED} more"


def _dask_client() -> Any | None:
    """Return the running Dask client, which takes precedence; imports nothing."""
    distributed = sys.modules.get("distributed")
    find = getattr(getattr(distributed, "client", None), "_get_global_client", None)
    client = None if find is None else find()
    return None if client is None or client.status in ("closed", "closing") else client


def _scratch() -> str:
    try:
        root = scratch_root()
    except PathError as error:
        return f"scratch none: {error}"
    existing = next(folder for folder in (root, *root.parents) if folder.exists())
    return f"scratch {root}, {_size(shutil.disk_usage(existing).free)} free{_quota()}"


def _quota() -> str:
    return "" if config.scratch_quota is None else f", quota {_size(config.scratch_quota)}"


def _versions() -> str:
    found = {**own_versions(), "python": platform.python_version()}
    return (
        f"version rayspy {found['rayspy']}, Ray {found['ray']}, Python {found['python']} ({_environment()})"
    )


def _environment() -> Path:
    return Path(sys.prefix)


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:.1f} GB"
