"""Ctrl-C at random times during start, attach, run and end: ``python -m tests.chaos.interrupts [ROUNDS]``.

After each the next call works, and after the session there is no process and no folder.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.chaos.starts import leftovers

RAY = """
import signal, sys
import rayspy as spy

def work():
    spy.freqanalysis(data, parallel=True)
    if ending:
        from rayspy import cluster
        cluster.shutdown_local_ray()

if __name__ == "__main__":
    with spy.config.using(dashboard=False, block_bytes=2**18, progress=False):
        data = spy.white_noise(nTrials=400, nChannels=8, seed=1)
        right = spy.freqanalysis(data, parallel=False).data[()]
        ending = sys.argv[1] == "end"
        {client}
        print("go", flush=True)
        try:
            work()
            print("finished", flush=True)
        except KeyboardInterrupt:
            print("interrupted", flush=True)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        print("same", (spy.freqanalysis(data, parallel=True).data[()] == right).all(), flush=True)
        {close}
"""
DASK = RAY.replace("{client}", "import distributed as dd; cluster_ = dd.LocalCluster(n_workers=2, "
                   "dashboard_address=':0'); client = dd.Client(cluster_)").replace(
                       "{close}", "client.close(); cluster_.close()")  # fmt: skip
WAYS = {"ray": RAY.replace("{client}", "").replace("{close}", ""), "dask": DASK}
LIMIT = 300.0


def session(way: str, ending: bool, seconds: float) -> bool:
    """One session with one Ctrl-C; returns whether all was well."""
    folder = Path(tempfile.mkdtemp(prefix="i", dir="/tmp"))
    (folder / "script.py").write_text(WAYS[way])
    environ = {**os.environ, "TMPDIR": str(folder), "RAYSPY_TMPDIR": str(folder)}
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, str(folder / "script.py"), "end" if ending else "run"],
        env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        while process.stdout.readline().strip() != "go":
            pass
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = "HANGS", process.communicate()[1]
    time.sleep(1.0)
    left = leftovers(folder)
    shutil.rmtree(folder, ignore_errors=True)
    good = "same True" in out and not left and process.returncode == 0
    print(
        f"{'ok ' if good else 'BAD'} {way} {'end' if ending else 'run'} after {seconds:.1f} s: "
        f"{' '.join(out.split())}, status {process.returncode}, {time.monotonic() - began:.0f} s, "
        f"left: {left or 'nothing'}" + ("" if good else f"\n{err[-3000:]}"),
        flush=True,
    )
    return good


def main(rounds: int) -> int:
    """Run so many sessions; returns the number of bad ones."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's ``&`` ignores it
    choose = random.Random(0)
    longest = float(os.environ.get("RAYSPY_LONGEST", "20"))
    cases = [(("ray", "dask")[k % 2], k % 4 > 1, choose.uniform(0, longest)) for k in range(rounds)]
    return sum(not session(*case) for case in cases)


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 30))
