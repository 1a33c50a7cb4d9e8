"""What a SLURM allocation gives: hosts, CPUs, memory, addresses."""

from __future__ import annotations

import os
import re
import socket
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

from rayspy.errors import InvalidValueError, ParallelError

_COMMAND_SECONDS = 30


@dataclass(frozen=True)
class Share:
    """What a job may use of one host; memory in bytes, 0: not limited by SLURM."""

    host: str
    cpus: int
    memory: int


@dataclass(frozen=True)
class Allocation:
    """A SLURM job as seen from its first host."""

    job: str
    shares: tuple[Share, ...]

    @property
    def own(self) -> Share:
        """Share of the host the batch script runs on."""
        return self.shares[0]


def read_allocation(environ: Mapping[str, str] | None = None) -> Allocation:
    """Describe the job this process is the batch script of.

    Raises
    ------
    ParallelError
        This is no SLURM job, or its description cannot be read.
    """
    found = os.environ if environ is None else environ
    job = found.get("SLURM_JOB_ID", "")
    if not job:
        raise ParallelError("this is not a SLURM job: start it with `sbatch`")
    hosts = host_names(found["SLURM_JOB_NODELIST"])
    cpus = counts_per_node(found["SLURM_JOB_CPUS_PER_NODE"])
    if len(hosts) != len(cpus):
        raise ParallelError(f"SLURM names {len(hosts)} hosts and {len(cpus)} CPU counts")
    shares = (Share(host, n, memory_of(found, n)) for host, n in zip(hosts, cpus, strict=True))
    return Allocation(job, tuple(shares))


def counts_per_node(text: str) -> list[int]:
    """Expand SLURM's short form of numbers per node, e.g. ``"16(x3),8"``.

    Examples
    --------
    >>> counts_per_node("16(x3),8")
    [16, 16, 16, 8]
    """
    counts: list[int] = []
    for item in text.split(","):
        match = re.fullmatch(r"(\d+)(?:\(x(\d+)\))?", item.strip())
        if match is None:
            raise InvalidValueError("numbers such as '16(x3),8'", "SLURM_JOB_CPUS_PER_NODE", text)
        counts += [int(match[1])] * int(match[2] or 1)
    return counts


def memory_of(environ: Mapping[str, str], cpus: int) -> int:
    """Bytes that the job may use of a host on which it has so many CPUs; 0: no limit known."""
    megabyte = 2**20
    if per_node := _number(environ, "SLURM_MEM_PER_NODE"):
        return per_node * megabyte
    return _number(environ, "SLURM_MEM_PER_CPU") * cpus * megabyte


def _number(environ: Mapping[str, str], name: str) -> int:
    text = environ.get(name, "")
    return int(text) if text.isdigit() else 0


def host_names(node_list: str) -> tuple[str, ...]:
    """Expand a node list such as ``n[1-3]``; plain names need no SLURM command."""
    if "[" not in node_list:
        return tuple(node_list.split(","))
    try:
        done = subprocess.run(
            ["scontrol", "show", "hostnames", node_list],
            capture_output=True, text=True, timeout=_COMMAND_SECONDS, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        raise ParallelError(f"`scontrol show hostnames {node_list}` failed: {error}") from error
    return tuple(done.stdout.split())


# --- addresses ---------------------------------------------------------------------------------------------


def own_address(others: tuple[str, ...] = ()) -> str:
    """Address of this host for Ray.

    That of the network interface ``RAYSPY_INTERFACE`` if set; else the one this
    host's name stands for, or the one from which the first of `others` is reached.

    Raises
    ------
    ParallelError
        There is no such interface; lists those there are.
    """
    if interface := os.environ.get("RAYSPY_INTERFACE"):
        return _address_of_interface(interface)
    own = _resolved(socket.gethostname())
    candidates = [own, *(_address_towards(other) for other in others)]
    outward = [found for found in candidates if found and not found.startswith("127.")]
    return outward[0] if outward else "127.0.0.1"


def _address_of_interface(name: str) -> str:
    import psutil

    addresses = {
        interface: [a.address for a in found if a.family == socket.AF_INET]
        for interface, found in psutil.net_if_addrs().items()
    }
    if not addresses.get(name):
        there = ", ".join(f"{interface} ({found[0]})" for interface, found in addresses.items() if found)
        raise ParallelError(
            f"RAYSPY_INTERFACE: {socket.gethostname()} has no network interface '{name}' with an IPv4 "
            f"address; it has {there}"
        )
    return str(addresses[name][0])


def _resolved(host: str) -> str:
    try:
        return socket.gethostbyname(host)
    except OSError:
        return ""


def _address_towards(host: str) -> str:
    """Address from which this host would send to another one; sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((host, 9))
        except OSError:
            return ""
        return str(probe.getsockname()[0])
