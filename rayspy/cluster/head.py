"""The head of a Ray, in a process of its own: ``python -P head.py OPTIONS``; imports nothing of rayspy.

What goes wrong with Ray, or hangs, goes wrong here and not in the user's session.
Ray's processes end with this one, and this one with its standard input.
"""

from __future__ import annotations

import json
import os
import select
import sys
from pathlib import Path
from typing import Any

_LOOK_SECONDS = 0.5


def run(options: dict[str, Any]) -> None:
    """Start Ray, write its address into the file ``ready``, and stay until nobody needs it."""
    import ray

    ready, parent = Path(options.pop("ready")), options.pop("parent")
    context = ray.init(**options)
    made = ready.with_name("ready-")
    made.write_text(str(context.address_info["gcs_address"]))
    made.replace(ready)
    while os.getppid() == parent and not select.select([sys.stdin], [], [], _LOOK_SECONDS)[0]:
        pass


if __name__ == "__main__":
    run(json.loads(sys.argv[1]))
