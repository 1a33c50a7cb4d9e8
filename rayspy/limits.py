"""What this process may use of its machine: CPUs and memory, whoever limits them.

The machine itself, CPU affinity, control groups (version 1, 2 or both; the own
group and all above it), and the SLURM job count; the smallest wins.

References
----------
Linux kernel documentation: admin-guide/cgroup-v2, admin-guide/cgroup-v1/memory,
scheduler/sched-bwc (``cpu.max``, ``cpu.cfs_quota_us``); proc_pid_mountinfo(5).
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath

from rayspy.config import config

_ROOT = Path("/")
_UNLIMITED = 2**60
"""Version 1 writes a number near 2**63 for: no limit."""
_MEGABYTE = 2**20
_RESULTS = 4
"""No result in memory is larger than this part of a budget that is given."""


@dataclass(frozen=True)
class _Hierarchy:
    """A tree of control groups as it is mounted."""

    controllers: frozenset[str]
    """Empty: version 2, all of them."""
    top: PurePosixPath
    """Group that is seen at the mount point."""
    mount: Path


# --- what others ask ---------------------------------------------------------------------------------------


def usable_cpus(root: Path = _ROOT, environ: Mapping[str, str] | None = None) -> int:
    """CPUs that computations may use: ``spy.config.num_cpus``, else all that this process may.

    Parameters
    ----------
    root : Path
        Folder in place of ``/``.
    environ : mapping, optional
        Default: the environment.
    """
    if config.num_cpus:
        return int(config.num_cpus)
    job = _job_cpus(os.environ if environ is None else environ)
    return max(1, min([_affinity(), *_quotas(root), *([job] if job else [])]))


def available_memory(root: Path = _ROOT, environ: Mapping[str, str] | None = None) -> int:
    """Memory in bytes that this process could still use; parameters as in `usable_cpus`."""
    if root == _ROOT and environ is None:
        return _available_here(int(time.monotonic() / _KNOWN_FOR))
    return _available(root, environ)


_KNOWN_FOR = 0.1
"""Seconds for which what is available is not asked for again: that takes as long as planning a small call."""


@lru_cache(maxsize=1)
def _available_here(moment: int) -> int:
    return _available(_ROOT, None)


def _available(root: Path, environ: Mapping[str, str] | None) -> int:
    import psutil

    free = int(psutil.virtual_memory().available)
    job = _job_memory(os.environ if environ is None else environ)
    rests = [job - int(psutil.Process().memory_info().rss)] if job else []
    return max(0, min([free, *_memory_left(root), *rests]))


def memory_budget() -> int:
    """Bytes that all workers of this host may use together."""
    return config.memory_budget or available_memory() // 2


def inmemory_limit() -> int:
    """Bytes up to which a result stays in memory: a given budget has room for some of them."""
    budget = config.memory_budget
    return int(config.inmemory_bytes if budget is None else min(config.inmemory_bytes, budget // _RESULTS))


# --- limits of each kind -----------------------------------------------------------------------------------


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _job_cpus(environ: Mapping[str, str]) -> int:
    """CPUs of the SLURM job or step on this node; 0: none known."""
    return _number(environ.get("SLURM_CPUS_ON_NODE", "")) or 0


def _job_memory(environ: Mapping[str, str]) -> int:
    """Memory of the SLURM job on this node in bytes; 0: none known."""
    if not (cpus := _job_cpus(environ)):
        return 0
    per_node = _number(environ.get("SLURM_MEM_PER_NODE", "")) or 0
    per_cpu = _number(environ.get("SLURM_MEM_PER_CPU", "")) or 0
    return (per_node or per_cpu * cpus) * _MEGABYTE


def _quotas(root: Path) -> Iterator[int]:
    """CPUs that each group's share of time amounts to, rounded up."""
    for group in _groups(root, "cpu"):
        words = _text(group / "cpu.max").split()
        quota, period = words if len(words) == 2 else ("", "")
        quota = quota or _text(group / "cpu.cfs_quota_us")
        period = period or _text(group / "cpu.cfs_period_us")
        if quota.isdigit() and period.isdigit() and int(period):
            yield max(1, -(-int(quota) // int(period)))


def _memory_left(root: Path) -> Iterator[int]:
    """What each limited group has left; file cache gives way, so it does not count as used."""
    for group in _groups(root, "memory"):
        names = ("memory.max", "memory.high", "memory.limit_in_bytes")
        limits = [number for name in names if (number := _number(_text(group / name))) is not None]
        limit = min(limits, default=_UNLIMITED)
        if limit < _UNLIMITED:
            used = _number(_text(group / "memory.current") or _text(group / "memory.usage_in_bytes")) or 0
            yield limit - max(0, used - _file_cache(group))


def _file_cache(group: Path) -> int:
    """Bytes of files in memory, of a group and all below it."""
    words = (line.split() for line in _text(group / "memory.stat").splitlines())
    found = {pair[0]: int(pair[1]) for pair in words if len(pair) == 2 and pair[1].isdigit()}
    prefix = "total_" if "total_inactive_file" in found else ""
    return sum(found.get(f"{prefix}{which}_file", 0) for which in ("active", "inactive"))


# --- control groups ----------------------------------------------------------------------------------------


@lru_cache(maxsize=8)
def _groups(root: Path, controller: str) -> tuple[Path, ...]:
    """Folders of the groups that hold this process, each followed by those above it."""
    found: list[Path] = []
    mounted = _hierarchies(root)
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        names = frozenset(controllers.split(",")) if controllers else frozenset[str]()
        if names and controller not in names:
            continue
        for hierarchy in mounted:
            if hierarchy.controllers >= names and bool(hierarchy.controllers) == bool(names):
                found += _upwards(hierarchy, PurePosixPath(path))
    return tuple(dict.fromkeys(found))


def _upwards(hierarchy: _Hierarchy, path: PurePosixPath) -> list[Path]:
    """Folder of a group and of those above it, as far as they are mounted here.

    A container may see its own group at the mount point under another name.
    """
    inside = path.is_relative_to(hierarchy.top) and ".." not in path.parts
    below = path.relative_to(hierarchy.top) if inside else PurePosixPath()
    return [hierarchy.mount / step for step in (below, *below.parents)]


def _hierarchies(root: Path) -> list[_Hierarchy]:
    found = []
    for line in _text(root / "proc/self/mountinfo").splitlines():
        left, _, right = line.partition(" - ")
        fields, kind = left.split(), right.split()
        if len(fields) < 5 or len(kind) < 3 or kind[0] not in ("cgroup", "cgroup2"):
            continue
        controllers = frozenset(kind[2].split(",")) if kind[0] == "cgroup" else frozenset[str]()
        mount = root / _unescaped(fields[4]).lstrip("/")
        found.append(_Hierarchy(controllers, PurePosixPath(_unescaped(fields[3])), mount))
    return found


def _unescaped(field: str) -> str:
    """Undo how mountinfo writes a space."""
    return field.replace(r"\040", " ")


def _text(path: Path) -> str:
    with contextlib.suppress(OSError):
        return path.read_text().strip()
    return ""


def _number(text: str) -> int | None:
    return int(text) if text.isdigit() else None
