"""Ask Dask workers where they are and what is installed there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rayspy.errors import ParallelError
from rayspy_compat import client as clients

Answers = dict[str, Any]


def _where_function() -> Callable[[], tuple[str, ...]]:
    """Return a function that travels by value: workers may lack this package."""

    def where() -> tuple[str, ...]:
        import os
        import socket
        from pathlib import Path

        found = [socket.gethostname()]
        for path in ("/proc/sys/kernel/random/boot_id", "/sys/fs/cgroup/memory.max"):
            try:
                found.append(Path(path).read_text().strip())
            except OSError:
                found.append("")
        try:
            found.append(str(Path("/proc/self/ns/net").readlink()))
        except OSError:
            found.append("")
        return (*found, *(os.environ.get(name, "") for name in ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID")))

    return where


def _versions_function() -> Callable[[], dict[str, str]]:
    """Return a function that travels by value: workers may lack this package."""

    def versions() -> dict[str, str]:
        import importlib
        import importlib.metadata
        import socket
        import sys

        found = {"host": socket.gethostname(), "python": f"{sys.version_info[0]}.{sys.version_info[1]}"}
        for name in ("rayspy", "rayspy_compat"):
            try:
                found[name] = getattr(importlib.import_module(name), "__version__", "")
            except Exception as error:
                found[f"no {name}"] = f"{type(error).__name__}: {error}"
        try:
            found["ray"] = importlib.metadata.version("ray")
        except Exception:
            found["no ray"] = "not installed"
        return found

    return versions


def _ask_all(client: Any, function: Callable[..., Any]) -> Answers:
    """Answers by address; workers that go meanwhile are left out."""
    answers: Answers = clients.ask(client, client._run, function, on_error="return", timeout=60.0)
    return {where: found for where, found in answers.items() if not isinstance(found, BaseException)}


def workers_elsewhere(client: Any) -> list[str]:
    """Return the hosts of workers that are not on this machine, or in another job than this process."""
    where = _where_function()
    here = where()
    answers = _ask_all(client, where).values()
    return sorted({str(found[0]) for found in answers if found != here})


def check_environments(client: Any, with_ray: bool) -> None:
    """Refuse workers that lack rayspy, or have another version of it.

    Raises
    ------
    ParallelError
        Says which host lacks what.
    """
    own = _versions_function()()
    wanted = ["python", "rayspy", *(["ray"] if with_ray else [])]
    problems = set()
    for found in _ask_all(client, _versions_function()).values():
        for name in (*wanted, "rayspy_compat"):
            if f"no {name}" in found:
                problems.add(f"{found['host']} lacks {name} ({found[f'no {name}']})")
            elif found[name] != own[name]:
                problems.add(f"{found['host']} has {name} {found[name]}, here is {own[name]}")
    if problems:
        raise ParallelError(
            f"the Dask workers cannot run rayspy: {'; '.join(sorted(problems))}; install the same versions "
            "in the workers' environment, or use parallel=False"
        )
