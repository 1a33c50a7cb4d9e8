"""Connect to a Ray that runs already."""

from __future__ import annotations

import logging
import os
import re
import sys
import time

from rayspy.cluster import find, state
from rayspy.cluster.environment import refresh_ray_environment, set_environ
from rayspy.cluster.tell import ClusterInfo, describe, first_line
from rayspy.errors import ParallelError
from rayspy.progress import message

_ANSWER_SECONDS = 15.0
"""So long is waited for something that listens at an address."""
_TRY_SECONDS = 5.0
_LOOK_SECONDS = 0.5
_TRIES = ("RAY_gcs_server_port_wait_time_s", "2")
"""So often Ray tries to reach a head, for 40 s each time; else it is 20 times."""


def connect_existing(address: str | None = None, *, temp_dir: str | None = None) -> ClusterInfo:
    """Connect to a Ray that runs already.

    Parameters
    ----------
    address : str, optional
        ``"host:port"``; default: ``RAY_ADDRESS``. A Ray that happens to run on this
        machine is never joined without being asked for.
    temp_dir : str, optional
        Folder of the node on this machine to go through; default: any of that Ray.

    Raises
    ------
    ParallelError
        There is no address, or no Ray answers there: within 15 s if nothing listens, within
        two minutes if something does.
    """
    if find.ray_is_connected():
        find.require_ray()
        return describe()
    address = address or os.environ.get("RAY_ADDRESS")
    if not address or address == "local":
        raise ParallelError("no address of a Ray cluster: pass one or set RAY_ADDRESS, e.g. to 'host:6379'")
    if "://" in address:
        raise ParallelError(f"cannot connect to '{address}': only a direct address 'host:port' is supported")
    ray = find.import_ray()
    through = {} if temp_dir is None else {"_temp_dir": temp_dir}
    _wait_for_answer(address)
    before = os.environ.get(_TRIES[0])
    try:
        set_environ(_TRIES[0], before or _TRIES[1])
        ray.init(address=address, logging_level=logging.WARNING, log_to_driver=False, **through)
    except Exception as error:
        raise ParallelError(
            f"cannot connect to Ray at '{address}': {first_line(error)}; if that Ray uses tokens, set "
            "RAY_AUTH_MODE=token and RAY_AUTH_TOKEN_PATH"
        ) from error
    finally:
        set_environ(_TRIES[0], before)
    state.connected()
    info = describe()
    n = len(info.nodes)
    message(
        "connect_existing",
        f"connected to Ray at {info.address}: {n} node{'s' * (n != 1)}, {info.cpus:g} CPUs, "
        f"dashboard: {info.dashboard or 'off'}",
    )
    return info


def _wait_for_answer(address: str) -> None:
    """Ray itself waits for several minutes where nothing listens, and cannot be interrupted."""
    host_and_port = re.fullmatch(r".+:(\d{1,5})", address)
    if host_and_port is None or int(host_and_port[1]) > 65535:  # 'auto', or Ray says what is wrong
        return
    deadline = time.monotonic() + _ANSWER_SECONDS
    while fault := find.unreachable(address, _TRY_SECONDS):
        if time.monotonic() > deadline:
            raise ParallelError(
                f"cannot connect to Ray at '{address}': nothing answers there ({fault}); if it has ended, "
                "unset RAY_ADDRESS"
            )
        time.sleep(_LOOK_SECONDS)


def disconnect_from(address: str) -> None:
    """Disconnect from the Ray at this address, if this process is connected to it."""
    if find.ray_is_connected() and find.context().gcs_address == address:
        sys.modules["ray"].shutdown()


def refresh_token() -> None:
    """Have Ray use the token that the environment names now."""
    refresh_ray_environment()
