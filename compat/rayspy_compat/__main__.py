"""Run a script written for Syncopy on rayspy: ``python -m rayspy_compat script.py args``."""

from __future__ import annotations

import sys

from rayspy_compat.alias import install_as_syncopy
from rayspy_compat.scripts import main

if __name__ == "__main__":
    main(sys.argv[1:])
elif __name__ == "__mp_main__":  # a process that such a script started, e.g. a worker of Dask
    install_as_syncopy()
