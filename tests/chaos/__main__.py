"""Kills, full disks and cut networks: ``python -m tests.chaos --seed N --minutes M [--busy]``."""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys

from tests.chaos.campaign import VICTIMS, campaign, table


def main() -> int:
    """Run a campaign; the exit status is 1 if something went wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--ways", nargs="+", choices=[*VICTIMS, "slurm"], default=list(VICTIMS))
    parser.add_argument("--busy", action="store_true", help="beside four busy loops")
    chosen = parser.parse_args()
    with contextlib.ExitStack() as stack:
        for _ in range(4 * chosen.busy):
            loop = stack.enter_context(subprocess.Popen([sys.executable, "-c", "while True: pass"]))
            stack.callback(loop.kill)
        if "slurm" in chosen.ways:
            from tests.chaos.on_slurm import campaign_on_slurm

            outcomes = campaign_on_slurm(chosen.seed, 60 * chosen.minutes, _say)
        else:
            outcomes = campaign(chosen.seed, 60 * chosen.minutes, tuple(chosen.ways), _say)
    load = " ".join(f"{one:.1f}" for one in os.getloadavg())
    bad = sum(not one.good for one in outcomes)
    print(f"seed {chosen.seed}: {sum(o.hit for o in outcomes)} hits, {bad} bad, load at the end {load}")
    print(table(outcomes))
    return int(bad > 0)


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
