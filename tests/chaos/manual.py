"""The manual's script beside busy loops: ``python -m tests.chaos.manual [typed|file|alias|log ...]``.

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

SIZE = os.environ.get("RAYSPY_MANUAL", "nTrials=5_000, nChannels=32")
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
CHECK = """
print("CLO" + "SING")
client.close(); cluster.close()
alone = spy.freqanalysis(data, parallel=False)
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
    if way == "typed":
        return [sys.executable, "-i", "-c", "import rayspy_compat; rayspy_compat.install_as_syncopy()"], (
            SCRIPT + CHECK + "exit()\n"
        )
    script.write_text(guarded(SCRIPT + CHECK) if way == "file" else SCRIPT + CHECK)
    return (
        [sys.executable, str(script)]
        if way == "file"
        else [sys.executable, "-m", "rayspy_compat", str(script)]
    ), ""


def watch(leader: int, process: subprocess.Popen[bytes], typed: str) -> tuple[str, float, str]:
    """What was shown, the longest silence after our first line and before our last one, and where it was."""
    shown, last, worst, where = "", time.monotonic(), 0.0, ""
    ours = False
    todo = [line for line in typed.splitlines() if line.strip()]
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
        if todo and shown.endswith(">>> "):
            os.write(leader, (todo.pop(0) + "\n").encode())
            shown += " "
        if process.poll() is not None and not ready:
            break
    return shown, worst, where


def once(way: str) -> bool:
    """Run the script in one way."""
    with tempfile.TemporaryDirectory(prefix="m", dir="/tmp") as name:
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
