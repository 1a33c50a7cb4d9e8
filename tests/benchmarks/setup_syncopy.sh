#!/usr/bin/env bash
# Make an environment with Syncopy 2023.9 and the versions it works with. Needs Python 3.11.
set -euo pipefail
target=${1:?usage: setup_syncopy.sh FOLDER}
python3.11 -m venv "$target"
"$target/bin/pip" install -q 'numpy==1.26.4' 'scipy==1.11.4' 'dask[distributed]==2024.5.0' 'h5py==3.11' pytz 'esi-syncopy==2023.9'
