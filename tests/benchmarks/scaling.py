"""Strong scaling: the same computation in SLURM jobs of one, two and three hosts with one CPU each.

The hosts are those of the tests: namespaces of this machine, so that no more can
be shown than it has cores. Needs root and a SLURM installation.
"""

import argparse
import os
import statistics
import sys
import tempfile
import textwrap
from pathlib import Path

from tests.slurm import hosts

ROOT = Path(__file__).parents[2]
SCRIPT = """
    import time
    import rayspy as spy

    data = spy.synthdata.white_noise(nTrials={trials}, nSamples=1000, nChannels=32, seed=1)
    spy.config.progress = False
    settings = {settings}
    spy.freqanalysis(data, **settings)
    for _ in range({repeats}):
        began = time.perf_counter()
        spec = spy.freqanalysis(data, **settings)
        print("seconds", time.perf_counter() - began, flush=True)
        del spec
"""


CASES = {
    "spectra": (3000, {"method": "mtmfft", "tapsmofrq": 10}),
    "superlets": (100, {"method": "superlet", "order_max": 4, "foi": [float(f) for f in range(10, 110, 5)]}),
}
"""Trials and settings: much to read and write for little arithmetic, and the other way round."""


def seconds(bed, folder, n_hosts, case, repeats):
    """Median time of the computation in a job of so many hosts."""
    script, log = folder / "script.py", folder / f"{n_hosts}.log"
    trials, settings = CASES[case]
    script.write_text(textwrap.dedent(SCRIPT.format(trials=trials, repeats=repeats, settings=settings)))
    words = (f"--nodes={n_hosts}", "--cpus-per-task=1", "--mem=2500M", f"--output={log}")
    job = bed.submit(*words, ROOT / "slurm" / "rayspy.sbatch", script)
    state = bed.wait_job(job, 600)
    lines = [line.split() for line in log.read_text().splitlines()]
    times = [float(words[1]) for words in lines if words[:1] == ["seconds"]]
    if state != ("COMPLETED", "0") or len(times) != repeats:
        raise RuntimeError(f"{state}: {log.read_text()}")
    return statistics.median(times)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", choices=tuple(CASES), default="spectra")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    if reason := hosts.missing():
        raise SystemExit(reason)
    with tempfile.TemporaryDirectory() as name, hosts.started() as bed:
        folder = Path(name)
        os.environ |= {
            "RAYSPY_PYTHON": sys.executable,
            "RAYSPY_TMPDIR": f"{name}/scratch",
            "RAYSPY_CLUSTER_DIR": f"{name}/clusters",
            "RAYSPY_ENV": os.devnull,
        }
        first = None
        for n_hosts in (1, 2, 3):
            found = seconds(bed, folder, n_hosts, options.case, options.repeats)
            first = first or found
            print(f"{n_hosts} hosts of one CPU: {found:.2f} s, {first / found:.2f} times as fast", flush=True)


if __name__ == "__main__":
    main()
