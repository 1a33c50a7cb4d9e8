"""Batch jobs that lose a host, a step or their network, on the SLURM of tests/slurm."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from tests.chaos.campaign import Case, Outcome
from tests.slurm import hosts

SBATCH = Path(__file__).parents[2] / "slurm" / "rayspy.sbatch"
VICTIMS = ("host", "first host", "slurmstepd", "network", "script", "raylet", "gcs_server")
_JOB_SECONDS = 400.0
_DONE = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "BOOT_FAIL")


def campaign_on_slurm(seed: int, seconds: float, say: Callable[[str], None]) -> list[Outcome]:
    """Run cases for so many seconds on a SLURM of three hosts."""
    if reason := hosts.missing():
        raise SystemExit(reason)
    choose, began, outcomes = random.Random(seed), time.monotonic(), list[Outcome]()
    with hosts.started() as bed:
        while time.monotonic() - began < seconds:
            victim = choose.choice(VICTIMS)
            case = Case("slurm", victim, choose.uniform(0.5, 4.0), choose.choice(("memory", "disk")), "slurm")
            outcomes.append(_run_case(case, bed, choose))
            say(outcomes[-1].line())
    return outcomes


def _run_case(case: Case, bed: hosts.Bed, choose: random.Random) -> Outcome:
    began = time.monotonic()
    for name, host in bed.hosts.items():
        if not host.alive():
            bed.start_host(name)
    _revive(bed)
    with tempfile.TemporaryDirectory(prefix="ks", dir="/tmp") as name:
        folder = Path(name)
        job = _submit(bed, folder, case)
        hit = _hit_when_running(case, bed, job, folder, choose)
        _wait(bed, job, lambda: bed.state(job)[0] in _DONE, _JOB_SECONDS, case)
        said = _said(folder, bed.state(job)[0])
        rerun = said
        if said != "same True":
            again = _submit(bed, folder, case)
            _wait(bed, again, lambda: bed.state(again)[0] in _DONE, _JOB_SECONDS, case)
            rerun = _said(folder, bed.state(again)[0])
        left = []
        with contextlib.suppress(AssertionError):
            bed.clean(30.0)
        left = [line for host in bed.hosts.values() if host.alive() for line in host.litter()]
        left += [path.name for path in folder.rglob("*.token")]
        _cancel_all()
    return Outcome(case, said, hit, rerun, tuple(left), time.monotonic() - began)


def _submit(bed: hosts.Bed, folder: Path, case: Case) -> str:
    script = folder / "script.py"
    root = str(Path(__file__).parents[2])
    script.write_text(f"import sys\nsys.path.insert(0, {root!r})\nfrom tests.chaos.work import main\n"
                      f"sys.exit(main('slurm', {case.place!r}))\n")  # fmt: skip
    (folder / "env").touch()
    (folder / "log").unlink(missing_ok=True)
    environ = {
        "RAYSPY_PYTHON": sys.executable,
        "RAYSPY_ENV": str(folder / "env"),
        "RAYSPY_TMPDIR": str(folder / "scratch"),
        "RAYSPY_CLUSTER_DIR": str(folder / "clusters"),
    }
    options = ("--nodes=2", "--cpus-per-task=1", "--mem=1800M", f"--output={folder}/log")
    return bed.submit(*options, SBATCH, script, environ=environ)


def _hit_when_running(
    case: Case, bed: hosts.Bed, job: str, folder: Path, choose: random.Random
) -> bool:  # fmt: skip
    log = folder / "log"
    if not _wait(bed, job, lambda: log.exists() and "\ngo" in log.read_text(), 120.0, None):
        return False
    time.sleep(case.after)
    names = _hosts_of(job)
    if not names:
        return False
    first, other = names[0], names[-1]
    if case.victim in ("host", "first host"):
        lost = other if case.victim == "host" else first
        bed.hosts[lost].kill()
    elif case.victim == "network":
        threading.Thread(target=_cut, args=(bed, other, choose.uniform(3, 60)), daemon=True).start()
    else:
        found = [p for name in names for p in _everything(bed.hosts[name]) if _is(p, case.victim)]
        if not found:
            return False
        choose.choice(found).kill()
    return True


def _cut(bed: hosts.Bed, name: str, seconds: float) -> None:
    with bed.unplugged(name):
        time.sleep(seconds)


def _everything(host: hosts.Host) -> list[psutil.Process]:
    return psutil.Process(host.first()).children(recursive=True)


def _is(process: psutil.Process, victim: str) -> bool:
    with contextlib.suppress(psutil.Error):
        if victim == "script":
            return "script.py" in " ".join(process.cmdline())
        return process.name() == victim
    return False


def _hosts_of(job: str) -> list[str]:
    listed = hosts.run("squeue", "-h", "-j", job, "-o", "%N", check=False)
    return hosts.run("scontrol", "show", "hostnames", listed, check=False).split() if listed else []


def _wait(bed: hosts.Bed, job: str, condition: Callable[[], bool], seconds: float, case: Case | None) -> bool:
    """Wait; a host that was lost is given back after a while, as an administrator would."""
    began = time.monotonic()
    while not condition():
        elapsed = time.monotonic() - began
        if elapsed > seconds:
            return False
        if case is not None and "host" in case.victim and elapsed > 20:
            for name, host in bed.hosts.items():
                if not host.alive():
                    hosts.run(
                        "scontrol", "update", f"nodename={name}", "state=down", "reason=lost", check=False
                    )
        if case is not None and "host" in case.victim and elapsed > 90:
            for name, host in bed.hosts.items():
                if not host.alive():
                    bed.start_host(name)
                    _revive(bed)
        time.sleep(0.3)
    return True


def _revive(bed: hosts.Bed) -> None:
    for name in bed.hosts:
        hosts.run("scontrol", "update", f"nodename={name}", "state=resume", check=False)


def _said(folder: Path, state: str) -> str:
    log = folder / "log"
    text = log.read_text(errors="replace") if log.exists() else ""
    for line in reversed(text.splitlines()):
        if line.startswith(("same ", "error ")):
            return line
        if line.endswith("ended with status 137"):
            return "killed"
        if "ended before its Ray did" in line:
            return f"told: {line}"
    return f"RAW {state}: {' | '.join(text.splitlines()[-3:])}"


def _cancel_all() -> None:
    subprocess.run(["scancel", "--quiet", "--me"], check=False, env=os.environ)
