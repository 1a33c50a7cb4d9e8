"""Command line: ``python -m rayspy info`` and what the scripts in ``slurm/`` call."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from rayspy.errors import RayspyError


def main(arguments: Sequence[str]) -> int:
    """Run one command; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        status: int = options.function(options)
    except RayspyError as error:
        print(f"rayspy {options.command}: {error}", file=sys.stderr)
        return 1
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m rayspy", description="rayspy on this machine and on clusters"
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, function: object, text: str, job: bool = False) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(function=function)
        if job:
            command.add_argument("--job", help="SLURM job of the standing cluster (default: the newest)")
        return command

    add("info", _info, "tell what computations would run on", job=True)
    add("connection", _connection, "print the variables that lead to a standing cluster", job=True)
    _script(add("submit", _submit, "run a script as a Ray job on a standing cluster", job=True))
    _script(add("job", _job, "in a SLURM job: run a script on a Ray of its hosts"))
    add("cluster", _cluster, "in a SLURM job: keep a Ray on its hosts")
    add("workers", _workers, "in a SLURM job: add its hosts to a standing cluster", job=True)
    add("node", _node, "run one Ray node (used by the other commands)").add_argument("spec")
    return parser


def _script(command: argparse.ArgumentParser) -> None:
    command.add_argument("script", help="Python script")
    command.add_argument("arguments", nargs=argparse.REMAINDER, help="its arguments")


def _info(options: argparse.Namespace) -> int:
    from rayspy.launch.connecting import connect
    from rayspy.launch.info import cluster_info

    if options.job:
        connect(options.job, timeout=0)
    cluster_info()
    return 0


def _connection(options: argparse.Namespace) -> int:
    from rayspy.launch.connection import find_connection

    for name, value in find_connection(options.job).environment().items():
        print(f"export {name}={shlex.quote(value)}")
    return 0


def _submit(options: argparse.Namespace) -> int:
    from rayspy.cluster import STARTED_BY_US
    from rayspy.launch.connection import check_versions, find_connection

    connection = find_connection(options.job)
    check_versions(connection)
    script = str(Path(options.script).resolve())
    entry = shlex.join([sys.executable, script, *options.arguments])
    command = [sys.executable, "-m", "ray.scripts.scripts", "job", "submit", "--"]
    environ = {**os.environ, **connection.environment()}
    environ.pop("RAY_AUTH_TOKEN", None)
    mark = f"{STARTED_BY_US}={connection.address}"
    words = ["bash", "-c", f"cd {shlex.quote(str(Path.cwd()))} && {mark} exec {entry}"]
    return subprocess.run([*command, *words], env=environ, check=False).returncode


def _job(options: argparse.Namespace) -> int:
    from rayspy.launch.job import run_script

    return _at_once(lambda: run_script([options.script, *options.arguments]))


def _cluster(options: argparse.Namespace) -> int:
    from rayspy.launch.job import run_cluster

    return _at_once(run_cluster)


def _at_once(run: Callable[[], int]) -> NoReturn:
    """End this process without Ray's own way to end, which waits for a Ray that is gone."""
    try:
        status = run()
    except RayspyError as error:
        print(f"rayspy: {error}", file=sys.stderr)
        status = 1
    except SystemExit as end:
        status = int(end.code or 0)
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _workers(options: argparse.Namespace) -> int:
    from rayspy.launch.job import run_workers

    return run_workers(options.job)


def _node(options: argparse.Namespace) -> int:
    from rayspy.launch.node import NodeSpec, run_node
    from rayspy.launch.sizes import own_address

    spec = json.loads(options.spec)
    spec["host"] = spec["host"] or own_address((spec["address"].rsplit(":", 1)[0],))
    return run_node(NodeSpec(**spec), lambda text: print(text, flush=True))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
