"""A real SLURM of a few hosts on one machine.

Every host is a process tree of its own: PID, network, mount and UTS namespace
without names anywhere else, so that killing its first process takes all of it
away, also when the test run itself is killed. The hosts hang on one bridge.
They share the file system, like those of a cluster; their own are
- ``/dev/shm`` (a fresh tmpfs), ``/proc``, ``/etc/hosts``, control groups where a test wants them;
- ``/tmp/rayspy-<uid>`` (of root and of one other user) and ``/tmp/ray``, under which Ray's and
  rayspy's temporary folders lie: bind mounts of ``<root>/<host>/rayspy``, ``<root>/<host>/other`` and
  ``<root>/<host>/ray``, where a test sees what is left on which host.
- ``<root>/python``: this interpreter, at a place that other users can enter.

The machine itself is the login node, at ``.1``; nothing of it is changed.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

COMMANDS = ("slurmctld", "slurmd", "munged", "sbatch", "srun", "ip", "unshare", "nsenter", "setpriv")
OTHER = 65534
"""User id of the other user: that of "nobody", who is known everywhere."""
_UP_SECONDS = 60.0
_PR_SET_PDEATHSIG = 1


def missing() -> str:
    """Why it cannot run here; empty if it can."""
    if os.geteuid() != 0:
        return "a SLURM of several hosts needs root, for network namespaces"
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    absent = [name for name in COMMANDS if shutil.which(name, path=path) is None]
    if absent:
        return f"{', '.join(absent)} not found: apt-get install slurm-wlm munge iproute2 util-linux"
    done = subprocess.run(
        ["unshare", "--net", "--pid", "--fork", "--mount-proc", "true"], capture_output=True
    )
    return f"namespaces are not allowed here: {done.stderr.decode().strip()}" if done.returncode else ""


def run(*words: object, check: bool = True, timeout: float = 30.0) -> str:
    """Run a command; its output is part of the error."""
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=timeout)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(map(str, words))}: {done.stdout}{done.stderr}")
    return done.stdout.strip()


@dataclass
class Host:
    """One machine of the cluster."""

    name: str
    address: str
    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def namespace(self) -> str:
        return str(Path(f"/proc/{self.first()}/ns/net").readlink())

    def first(self) -> int:
        """Process that is number 1 on this host."""
        return psutil.Process(self.process.pid).children()[0].pid

    def processes(self) -> list[psutil.Process]:
        """Everything that runs on this host, SLURM's own and the first process left out."""
        found = []
        for process in psutil.Process(self.first()).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                own = process.name() in ("slurmd", "slurmstepd", "sleep")
                if not own and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def command(self, uid: int, *words: object) -> list[str]:
        """Command that runs something on this host as some user."""
        first = f"/proc/{self.first()}/ns"
        spaces = [f"--{kind}={first}/{name}" for kind, name in _SPACES.items()]
        user = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]
        return ["nsenter", *spaces, *user, *map(str, words)]

    def litter(self) -> list[str]:
        """What processes and temporary files of ours are on this host."""
        lines = []
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                lines.append(f"{self.name}: process {' '.join(process.cmdline())[:150]}")
        folders = [path for name in ("rayspy", "other") for path in (self.folder / name).glob("r*")]
        folders += (self.folder / "ray").iterdir()
        shared = Path(f"/proc/{self.first()}/root/dev/shm")
        stores = [path for path in shared.iterdir() if "plasma" in path.name or "ray" in path.name]
        return lines + [f"{self.name}: {path}" for path in (*folders, *stores)]

    def alive(self) -> bool:
        return self.process.poll() is None

    def kill(self) -> None:
        """The machine is gone from one moment to the next."""
        self.process.kill()
        self.process.wait()


@dataclass
class Bed:
    """The cluster."""

    root: Path
    network: str
    bridge: str
    ports: tuple[int, int]
    cpus: int = 2
    memory: int = 9000
    cgroups: bool = False
    """Have SLURM hold jobs to their CPUs and memory with control groups."""
    hosts: dict[str, Host] = field(default_factory=dict)
    _daemons: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def login(self) -> str:
        return f"{self.network}.1"

    @property
    def python(self) -> Path:
        """This interpreter without its packages, as all users of the hosts can start it."""
        return self.root / "python" / "bin" / Path(sys.executable).resolve().name

    # -- up

    def start(self, names: tuple[str, ...]) -> None:
        run("ip", "link", "add", self.bridge, "type", "bridge")
        run("ip", "addr", "add", f"{self.login}/24", "dev", self.bridge)
        run("ip", "link", "set", self.bridge, "up")
        addresses = {name: f"{self.network}.{11 + i}" for i, name in enumerate(names)}
        self._write_files(addresses)
        self._start_munge()
        os.environ["SLURM_CONF"] = str(self.root / "slurm.conf")
        self._daemons.append(self._spawn(["unshare", *_OWN, "bash", "-c", self._controller()]))
        for name in names:
            self.start_host(name, addresses[name])
        self.wait_idle(names)

    def _write_files(self, addresses: dict[str, str]) -> None:
        lines = ["127.0.0.1 localhost", f"{self.login} ctl"]
        lines += [f"{address} {name}" for name, address in addresses.items()]
        (self.root / "hosts").write_text("\n".join(lines) + "\n")
        nodes = [
            f"NodeName={name} NodeAddr={address} CPUs={self.cpus} RealMemory={self.memory} State=UNKNOWN"
            for name, address in addresses.items()
        ]
        if self.cgroups:
            (self.root / "cgroup.conf").write_text(_CGROUP_CONF)
        plugins = (
            ("proctrack/cgroup", "task/cgroup") if self.cgroups else ("proctrack/linuxproc", "task/none")
        )
        (self.root / "slurm.conf").write_text(
            _CONF.format(bed=self, plugins=plugins) + "\n".join(nodes) + _PARTITIONS
        )
        for inner in ("state", "python"):
            (self.root / inner).mkdir()

    def _start_munge(self) -> None:
        folder = self.root / "munge"
        folder.mkdir(mode=0o755)
        key = folder / "key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        options = {
            "key-file": key,
            "socket": folder / "socket",
            "pid-file": folder / "pid",
            "log-file": folder / "log",
            "seed-file": folder / "seed",
        }
        command = [
            "munged",
            "--foreground",
            "--force",
            *(f"--{name}={value}" for name, value in options.items()),
        ]
        self._daemons.append(self._spawn(command))
        _wait_for((folder / "socket").exists, "munged", folder / "log")

    def _controller(self) -> str:
        return (
            f"hostname ctl; mount --bind {self.root}/hosts /etc/hosts; "
            f"exec slurmctld -D -f {self.root}/slurm.conf"
        )

    def start_host(self, name: str, address: str = "") -> Host:
        """Start a host, or start it again."""
        address = address or self.hosts[name].address
        folder = self.root / name
        shutil.rmtree(folder, ignore_errors=True)
        for inner in ("rayspy", "other", "ray"):
            (folder / inner).mkdir(parents=True, mode=0o700)
        (folder / "spool").mkdir(mode=0o755)  # users read their batch script there
        os.chown(folder / "other", OTHER, OTHER)
        for mountpoint in (f"/tmp/rayspy-{os.getuid()}", f"/tmp/rayspy-{OTHER}", "/tmp/ray"):
            Path(mountpoint).mkdir(mode=0o700, exist_ok=True)
        process = self._spawn(["unshare", "--net", *_OWN, "bash", "-c", self._boot(name, folder)])
        host = self.hosts[name] = Host(name, address, folder, process)
        _wait_for((folder / "booted").exists, name, folder / "slurmd.log")
        self._plug_in(host)
        (folder / "wired").touch()
        return host

    def _boot(self, name: str, folder: Path) -> str:
        """Script of a host's first process; it collects whatever ends, as init does."""
        return f"""
            set -e
            hostname {name}
            mount --bind {self.root}/hosts /etc/hosts
            mount --bind {folder}/rayspy /tmp/rayspy-{os.getuid()}
            mount --bind {folder}/other /tmp/rayspy-{OTHER}
            mount --bind {folder}/ray /tmp/ray
            mount --bind {sys.base_prefix} {self.root}/python
            {self._groups(name, folder)}
            mount -t tmpfs -o size=1g tmpfs /dev/shm
            touch {folder}/booted
            while [ ! -e {folder}/wired ]; do sleep 0.05; done
            slurmd -D -f {self.root}/slurm.conf -N {name} >/dev/null 2>&1 &
            set +e
            while :; do wait -n || sleep 0.2; done
        """

    def _groups(self, name: str, folder: Path) -> str:
        """Script that gives a host control groups of its own, inside those of the machine."""
        if not self.cgroups:
            return ""
        return f"""
            mkdir {folder}/groups
            mount -t tmpfs tmpfs {folder}/groups
            for kind in {" ".join(_CONTROLLERS)}; do
                own={_CGROUPS}/$kind/{self.bridge}-{name}
                mkdir -p $own {folder}/groups/$kind
                if [ $kind = cpuset ]; then
                    for file in cpuset.cpus cpuset.mems; do cat {_CGROUPS}/$kind/$file > $own/$file; done
                fi
                mount --bind $own {folder}/groups/$kind
            done
            mount --rbind {folder}/groups {_CGROUPS}
        """

    def _plug_in(self, host: Host) -> None:
        first, outer = host.first(), f"{self.bridge}{host.name}"
        run("ip", "link", "del", outer, check=False)
        run("ip", "link", "add", outer, "type", "veth", "peer", "name", "eth0", "netns", first)
        run("ip", "link", "set", outer, "master", self.bridge, "up")

        def inside(*words: str) -> None:
            run("nsenter", f"--net=/proc/{first}/ns/net", "ip", *words)

        inside("addr", "add", f"{host.address}/24", "dev", "eth0")
        inside("link", "set", "lo", "up")
        inside("link", "set", "eth0", "up")
        inside("route", "add", "default", "via", self.login)

    @contextlib.contextmanager
    def unplugged(self, name: str) -> Iterator[None]:
        """Take the network of a host away for the length of a ``with`` block; what runs there goes on."""
        outer = f"{self.bridge}{name}"
        run("ip", "link", "set", outer, "down")
        try:
            yield
        finally:
            run("ip", "link", "set", outer, "up")

    def _spawn(self, command: list[str]) -> subprocess.Popen[bytes]:
        path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
        keep = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM", "RAY"))}
        with (self.root / "errors").open("ab") as errors:
            return subprocess.Popen(
                command,
                env={**keep, "PATH": path},
                cwd=self.root,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )

    def wait_idle(self, names: tuple[str, ...] = (), seconds: float = _UP_SECONDS) -> None:
        """Wait until these hosts, or all, are free."""
        wanted = set(names or self.hosts)

        def idle() -> bool:
            listed = run("sinfo", "-h", "-N", "-p", "debug", "-o", "%N %T", check=False)
            return wanted <= {line.split()[0] for line in listed.splitlines() if line.endswith(" idle")}

        _wait_for(idle, f"SLURM ({run('sinfo', check=False)})", self.root / "ctld.log", seconds)

    # -- jobs

    def submit(self, *words: object, environ: dict[str, str] | None = None) -> str:
        """Submit a job; returns its number."""
        done = subprocess.run(
            ["sbatch", "--parsable", *map(str, words)],
            env={**os.environ, **(environ or {})}, capture_output=True, text=True, timeout=30,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(done.stderr)
        return done.stdout.strip().split(";")[0]

    def state(self, job: str) -> tuple[str, str]:
        """State and exit status of a job."""
        described = run("scontrol", "-o", "show", "job", job)
        values = dict(word.split("=", 1) for word in described.split() if "=" in word)
        return values["JobState"], values["ExitCode"].split(":")[0]

    def wait_job(self, job: str, seconds: float = 150.0) -> tuple[str, str]:
        """Wait until a job has ended."""
        final = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "PREEMPTED", "BOOT_FAIL")
        _wait_for(lambda: self.state(job)[0] in final, f"job {job}", None, seconds)
        return self.state(job)

    def clean(self, seconds: float = 60.0) -> None:
        """Wait until nothing of ours is left on any host; says what is."""
        deadline = time.monotonic() + seconds
        while litter := [line for host in self.hosts.values() if host.alive() for line in host.litter()]:
            if time.monotonic() > deadline:
                raise AssertionError("left behind:\n" + "\n".join(litter))
            time.sleep(0.2)

    # -- down

    def stop(self) -> None:
        """Everything ends at once; the network goes with its last process."""
        everything = [*self._daemons, *(host.process for host in self.hosts.values())]
        for process in everything:
            process.kill()
        for process in everything:
            process.wait()
        run("ip", "link", "del", self.bridge, check=False)
        _remove_groups(self.bridge)
        os.environ.pop("SLURM_CONF", None)
        shutil.rmtree(self.root, ignore_errors=True)


_CGROUPS = Path("/sys/fs/cgroup")
_CONTROLLERS = ("cpuset", "memory", "devices", "freezer")
_CGROUP_CONF = f"""
CgroupPlugin=cgroup/v1
CgroupMountpoint={_CGROUPS}
ConstrainCores=yes
ConstrainRAMSpace=yes
"""


def missing_cgroups() -> str:
    """Why SLURM cannot use control groups here; empty if it can."""
    absent = [kind for kind in _CONTROLLERS if not os.access(_CGROUPS / kind / "cgroup.procs", os.W_OK)]
    return f"no control groups of version 1 for {', '.join(absent)} that can be written" if absent else ""


def _remove_groups(bridge: str) -> None:
    """Remove the control groups of the hosts on a bridge, whose processes must be gone."""
    for top in _CGROUPS.glob(f"*/{bridge}-*"):
        for folder, _, _ in os.walk(top, topdown=False):
            with contextlib.suppress(OSError):
                Path(folder).rmdir()


_SPACES = {"mount": "mnt", "net": "net", "uts": "uts", "pid": "pid"}
_OWN = ["--mount", "--uts", "--pid", "--fork", "--mount-proc", "--kill-child"]

_CONF = """
ClusterName=testbed
SlurmctldHost=ctl({bed.login})
SlurmctldPort={bed.ports[0]}
SlurmdPort={bed.ports[1]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={bed.root}/munge/socket,cred_expire=5
StateSaveLocation={bed.root}/state
SlurmdSpoolDir={bed.root}/%n/spool
SlurmctldPidFile={bed.root}/ctld.pid
SlurmdPidFile={bed.root}/%n/slurmd.pid
SlurmctldLogFile={bed.root}/ctld.log
SlurmdLogFile={bed.root}/%n/slurmd.log
SlurmdParameters=config_overrides
ProctrackType={plugins[0]}
TaskPlugin={plugins[1]}
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0,defer_batch=0
ReturnToService=2
MpiDefault=none
SlurmdTimeout=120
UnkillableStepTimeout=120
KillWait=30
RebootProgram=/bin/true
JobRequeue=1
DefMemPerCPU=1000
"""
_PARTITIONS = """
PartitionName=debug Nodes=ALL Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO
"""


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _wait_for(condition: object, what: str, log: Path | None, seconds: float = _UP_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        if time.monotonic() > deadline:
            tail = log.read_text(errors="replace")[-2000:] if log is not None and log.exists() else ""
            raise AssertionError(f"{what} took more than {seconds:g} s\n{tail}")
        time.sleep(0.1)


def _free_network() -> str:
    """First of 10.77.0, 10.77.1 ... that this machine does not use."""
    used = {
        address["local"].rsplit(".", 1)[0]
        for link in json.loads(run("ip", "-j", "-4", "addr"))
        for address in link.get("addr_info", ())
        if "local" in address
    }
    return next(network for network in (f"10.77.{i}" for i in range(256)) if network not in used)


def _free_ports(n: int) -> tuple[int, ...]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(n)]
        for each in sockets:
            each.bind(("", 0))
        return tuple(each.getsockname()[1] for each in sockets)


def _remove_abandoned() -> None:
    """Remove what is left of test runs that were killed: their bridges and folders are named by process."""
    for link in json.loads(run("ip", "-j", "link", "show", "type", "bridge")):
        pid = link["ifname"].removeprefix("rsl")
        if pid != link["ifname"] and pid.isdigit() and not psutil.pid_exists(int(pid)):
            run("ip", "link", "del", link["ifname"], check=False)
            _remove_groups(link["ifname"])
    for folder in Path(tempfile.gettempdir()).glob("rsl*-*"):
        pid = folder.name.removeprefix("rsl").split("-")[0]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def started(names: tuple[str, ...] = ("n1", "n2", "n3"), cgroups: bool = False) -> Iterator[Bed]:
    """Run a cluster for the length of a ``with`` block."""
    _remove_abandoned()
    pid = os.getpid()
    root = Path(tempfile.mkdtemp(prefix=f"rsl{pid}-"))
    root.chmod(0o755)
    control, daemon = _free_ports(2)
    bed = Bed(root, _free_network(), f"rsl{pid}", (control, daemon), cgroups=cgroups)
    try:
        bed.start(names)
        yield bed
    finally:
        bed.stop()
