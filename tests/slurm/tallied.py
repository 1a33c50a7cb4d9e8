"""A method that takes its time and counts its blocks in a shared folder."""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from rayspy.methods.copying import Copying


@dataclass(frozen=True)
class Tallied(Copying):
    """Copies, slowly; each call leaves a file."""

    folder: str
    name: ClassVar[str] = "tallied"

    def kernel(self, part):
        return self._copy

    def _copy(self, x, out=None):
        time.sleep(0.2)
        np.copyto(out, x)
        Path(self.folder, f"{os.uname().nodename}-{time.monotonic_ns()}").touch()
        return out
