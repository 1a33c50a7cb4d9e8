"""What is known of the Ray that was started here."""

from __future__ import annotations

import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any


@dataclass(frozen=True)
class LocalRay:
    """What has to be undone when the Ray started here ends."""

    folder: Path
    lock: IO[str]
    environ: dict[str, str | None]
    sigterm: Any
    owner: int
    watch: subprocess.Popen[bytes] | None
    """Ends Ray when this process was killed."""
    head: subprocess.Popen[bytes] | None = None
    address: str = ""


local: LocalRay | None = None
starting: Path | None = None
"""Folder of a Ray that is just being started."""
tries = 0
"""How often it was asked to try again."""
failure = ""
"""Why Ray cannot be started here, once that was tried in vain."""
guard = threading.RLock()
