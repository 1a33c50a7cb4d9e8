"""Describe the connected Ray."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rayspy.cluster import find


@dataclass(frozen=True)
class NodeInfo:
    """One machine of a Ray cluster; sizes in bytes."""

    node_id: str
    host: str
    cpus: float
    memory: int
    object_store: int


@dataclass(frozen=True)
class ClusterInfo:
    """The Ray this session is connected to."""

    address: str
    dashboard: str
    ray_version: str
    started_here: bool
    nodes: tuple[NodeInfo, ...]

    @property
    def cpus(self) -> float:
        """CPUs of all nodes."""
        return sum(node.cpus for node in self.nodes)

    @property
    def memory(self) -> int:
        """Memory of all nodes in bytes."""
        return sum(node.memory for node in self.nodes)


def describe() -> ClusterInfo:
    """Describe the connected Ray."""
    ray = find.require_ray()
    return ClusterInfo(
        address=find.context().gcs_address,
        dashboard=_dashboard(),
        ray_version=ray.__version__,
        started_here=find.ray_is_ours(),
        nodes=tuple(_node_info(node) for node in ray.nodes() if node["Alive"]),
    )


def _node_info(node: dict[str, Any]) -> NodeInfo:
    resources = node["Resources"]
    return NodeInfo(
        node_id=node["NodeID"],
        host=node["NodeManagerHostname"],
        cpus=float(resources.get("CPU", 0)),
        memory=int(resources.get("memory", 0)),
        object_store=int(resources.get("object_store_memory", 0)),
    )


def _dashboard() -> str:
    from ray._private.worker import get_dashboard_url

    url = get_dashboard_url()
    return f"http://{url}" if url and "://" not in url else url or ""


def first_line(error: BaseException) -> str:
    """Name of an error and the first line of what it says."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
