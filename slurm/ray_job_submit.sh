#!/bin/bash
# Run a script as a Ray job on a standing cluster (default: the newest one), and follow its output:
#   slurm/ray_job_submit.sh [--job 12345] analysis.py [arguments]
# Settings: slurm/README.md.
for file in "${RAYSPY_ENV:-}" "$PWD/rayspy.env" "$HOME/.rayspy/env"; do
    if [[ -f $file ]]; then source "$file"; break; fi
done
exec "${RAYSPY_PYTHON:-python}" -m rayspy submit "$@"
