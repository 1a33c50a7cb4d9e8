"""What several test modules share."""

from contextlib import contextmanager

import rayspy as spy

EXECUTORS = ["local-1", "local-2", "ray-1", "ray-2", "ray-3"]
"""Names of executors and how many threads or actors they have."""


@contextmanager
def run_on(executor, request):
    """Yield the keyword arguments that make a front-end run on this executor."""
    kind, n = executor.split("-")
    if kind == "local":
        with spy.config.using(num_cpus=int(n)):
            yield {"parallel": False if n == "1" else None}
        return
    request.getfixturevalue("local_ray")
    with spy.config.using(num_cpus=int(n)):
        yield {"parallel": True}
