"""The manual's scripts beside busy loops: ``python -m tests.chaos.manual [typed|file|alias ...]``.

With ``slurm-`` before the way it is the script for SLURM, on a SLURM of three hosts (as root).
Run on a pseudo-terminal; prints how long nothing was shown between the first and the
last line of ours, and whether the numbers are those of one local thread.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

from tests.slurm import hosts

SIZE = os.environ.get("RAYSPY_MANUAL", "nTrials=5_000, nChannels=32")
SIZE_ON_SLURM = os.environ.get("RAYSPY_MANUAL", "nTrials=500, nSamples=10_000, nChannels=10")
SCRIPT = f"""
import dask.distributed as dd

# request 8 worker processes
cluster = dd.LocalCluster(n_workers=8)

# attach a client to the cluster
client = dd.Client(cluster)

import syncopy as spy

# create ~1GB of white noise
data = spy.synthdata.white_noise({SIZE})

# compute the power spectra
spec = spy.freqanalysis(data)
"""
ON_SLURM = f"""
import dask.distributed as dd
import dask_jobqueue as dj

slurm_wdir = "{{wdir}}"
n_jobs = 3
reqMem = 2
queue = 'debug'

cluster = dj.SLURMCluster(cores=1, memory=f'{{{{reqMem}}}} GB', processes=1,
                          local_directory=slurm_wdir, queue=queue)
cluster.scale(n_jobs)
client = dd.Client(cluster)

import syncopy as spy

data = spy.synthdata.white_noise({SIZE_ON_SLURM})

# band pass filtering between 20Hz and 40Hz
spec = spy.preprocessing(data, freq=[20, 40], filter_type='bp')
"""
CHECK = """
print("CLO" + "SING")
client.close(); cluster.close()
alone = spy.{call}, parallel=False)
print("SAME", all((a == b).all() for a, b in zip(spec.trials, alone.trials)))
"""


def guarded(script: str) -> str:
    """What the guide says: below the imports, indented."""
    lines = script.replace("import syncopy as spy\n", "").splitlines()
    body = "\n".join(f"    {line}" for line in lines if not line.startswith("import"))
    return f"import dask.distributed as dd\nimport rayspy as spy\nif __name__ == '__main__':\n{body}\n"


def command(way: str, folder: Path) -> tuple[list[str], str]:
    """Command line, and what is typed."""
    script = folder / "manual.py"
    text = ON_SLURM.format(wdir=folder) if way.startswith("slurm-") else SCRIPT
    text += CHECK.format(call=text.splitlines()[-1].removeprefix("spec = spy.").removesuffix(")"))
    if way.endswith("typed"):
        alias = "import rayspy_compat; rayspy_compat.install_as_syncopy()"
        return [sys.executable, "-i", "-c", alias], text + "exit()\n"
    if way == "slurm-file":  # its workers are jobs, which do not import the script
        text = text.replace("import syncopy as spy", "import rayspy as spy")
    script.write_text(guarded(text) if way == "file" else text)
    plain = [sys.executable, str(script)]
    return plain if way.endswith("file") else [sys.executable, "-m", "rayspy_compat", str(script)], ""


def watch(leader: int, process: subprocess.Popen[bytes], typed: str) -> tuple[str, float, str]:
    """What was shown, the longest silence after our first line and before our last one, and where it was."""
    shown, last, worst, where = "", time.monotonic(), 0.0, ""
    ours = False
    todo = typed.splitlines()
    while True:
        ready = select.select([leader], [], [], 0.1)[0]
        now = time.monotonic()
        if ready:
            try:
                chunk = os.read(leader, 65536).decode(errors="replace")
            except OSError:
                break
            if ours and now - last > worst:
                worst, where = now - last, shown[-100:] + " >>> " + chunk[:60]
            ours = "rayspy <" in shown[-3000:] + chunk and "CLOSING" not in shown + chunk
            shown, last = shown + chunk, now
        if todo and shown.endswith((">>> ", "... ")):
            os.write(leader, (todo.pop(0) + "\n").encode())
            shown += " "
        if process.poll() is not None and not ready:
            break
    return shown, worst, where


def once(way: str) -> bool:
    """Run a script in one way."""
    with contextlib.ExitStack() as stack:
        name = stack.enter_context(tempfile.TemporaryDirectory(prefix="m", dir="/tmp"))
        if way.startswith("slurm-"):
            stack.enter_context(hosts.started())
        words, typed = command(way, Path(name))
        leader, follower = pty.openpty()
        fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        environ = {**os.environ, "RAYSPY_TMPDIR": name, "TERM": "xterm"}
        began = time.monotonic()
        process = subprocess.Popen(
            words, stdin=follower, stdout=follower, stderr=follower, cwd=name, env=environ, close_fds=True
        )
        os.close(follower)
        shown, worst, where = watch(leader, process, typed)
        os.close(leader)
        same = "SAME True" in shown
        print(
            f"{'ok' if same and worst <= 2.5 else 'BAD'} {way}: {time.monotonic() - began:.0f} s, "
            f"same: {same}, longest silence {worst:.1f} s, status {process.wait()}\n    at {where!r}",
            flush=True,
        )
        if not same:
            print(shown[-3000:])
        if "RAYSPY_MANUAL_OUT" in os.environ:
            Path(os.environ["RAYSPY_MANUAL_OUT"], f"{way}.txt").write_text(shown)
    return same


def main(ways: list[str]) -> int:
    """Run all ways beside four busy loops; returns the number of bad ones."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(4)]
    try:
        return sum(not once(way) for way in ways)
    finally:
        for loop in loops:
            loop.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                loop.wait(5)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:] or ["typed", "file", "alias"]))
