"""What several test modules share."""

from contextlib import contextmanager

import rayspy as spy

EXECUTORS = ["local-1", "local-2", "ray-1", "ray-2", "ray-3", "dask_on_ray-2", "dask-2"]
"""Names of executors and how many threads, actors or workers they have."""


@contextmanager
def attached(client, force):
    """Have a Dask client found: through Ray, or with its own scheduler only."""
    from rayspy_compat import attach

    if attach._force != force:
        attach.detach()
    attach._force = force
    try:
        with client.as_current():
            yield
    finally:
        attach._force = ""


@contextmanager
def run_on(executor, request):
    """Yield the keyword arguments that make a front-end run on this executor."""
    kind, n = executor.split("-")
    if kind == "local":
        with spy.config.using(num_cpus=int(n)):
            yield {"parallel": False if n == "1" else None}
        return
    if kind.startswith("dask"):
        client = request.getfixturevalue("dask_side")
        with attached(client, "dask" if kind == "dask" else ""), spy.config.using(num_cpus=None):
            yield {"parallel": None}
        return
    request.getfixturevalue("local_ray")
    with spy.config.using(num_cpus=int(n)):
        yield {"parallel": True}
