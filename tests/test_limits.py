"""CPUs and memory of the allocation: made-up control groups, and a real one where this machine allows it."""

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

import rayspy as spy
from rayspy import limits
from rayspy.limits import available_memory, usable_cpus

MB = 2**20
GB = 2**30
V1 = 2**63 - 4096
"""What version 1 writes for: no limit."""


@pytest.fixture
def cores(monkeypatch):
    monkeypatch.setattr(limits, "_affinity", lambda: 64)
    monkeypatch.setattr("psutil.virtual_memory", lambda: type("Free", (), {"available": 500 * GB}))


class Tree:
    """Files of a machine under a folder."""

    def __init__(self, root):
        self.root, self.mounted, self.own = root, [], []

    def write(self, path, text):
        target = self.root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(f"{text}\n")

    def mount(self, point, controllers="", top="/"):
        kind = f"cgroup cgroup rw,{controllers}" if controllers else "cgroup2 cgroup2 rw,nsdelegate"
        self.mounted.append(f"30 25 0:26 {top} {point} rw,nosuid shared:9 - {kind}")
        self.write("proc/self/mountinfo", "\n".join(["22 1 8:1 / / rw - ext4 /dev/sda1 rw", *self.mounted]))

    def join(self, path, controllers=""):
        self.own.append(f"{len(self.own)}:{controllers}:{path}")
        self.write("proc/self/cgroup", "\n".join(self.own))


@pytest.fixture
def tree(tmp_path, cores):
    return Tree(tmp_path)


def v2(tree, path, **values):
    for name, value in values.items():
        tree.write(f"/sys/fs/cgroup{path}/{name.replace('_', '.', 1)}", value)


def test_version_2_the_smallest_above_counts(tree):
    tree.mount("/sys/fs/cgroup")
    tree.join("/slurm/job_7/step_0")
    v2(tree, "/slurm", memory_max="max", cpu_max="max 100000")
    v2(tree, "/slurm/job_7", memory_max=8 * GB, memory_current=3 * GB, cpu_max="350000 100000")
    v2(tree, "/slurm/job_7/step_0", memory_max=16 * GB, memory_current=GB, cpu_max="1600000 100000")
    v2(tree, "/slurm/job_8", memory_max=GB, cpu_max="100000 100000")
    assert available_memory(tree.root, {}) == 5 * GB
    assert usable_cpus(tree.root, {}) == 4


def test_file_cache_gives_way(tree):
    tree.mount("/sys/fs/cgroup")
    tree.join("/job")
    stat = f"anon {GB}\nfile {6 * GB}\nactive_file {2 * GB}\ninactive_file {3 * GB}"
    v2(tree, "/job", memory_max=8 * GB, memory_current=7 * GB, memory_stat=stat)
    assert available_memory(tree.root, {}) == 6 * GB


def test_the_limit_that_slows_down_counts(tree):
    tree.mount("/sys/fs/cgroup")
    tree.join("/job")
    v2(tree, "/job", memory_max=8 * GB, memory_high=4 * GB, memory_current=GB)
    assert available_memory(tree.root, {}) == 3 * GB


def test_a_full_group_has_nothing_left(tree):
    tree.mount("/sys/fs/cgroup")
    tree.join("/job")
    v2(tree, "/job", memory_max=GB, memory_current=GB + 4096)
    assert available_memory(tree.root, {}) == 0


def v1(tree, path, memory=V1, used=0, quota=-1, stat="total_inactive_file 0"):
    tree.write(f"/sys/fs/cgroup/memory{path}/memory.limit_in_bytes", memory)
    tree.write(f"/sys/fs/cgroup/memory{path}/memory.usage_in_bytes", used)
    tree.write(f"/sys/fs/cgroup/memory{path}/memory.stat", stat)
    tree.write(f"/sys/fs/cgroup/cpu,cpuacct{path}/cpu.cfs_quota_us", quota)
    tree.write(f"/sys/fs/cgroup/cpu,cpuacct{path}/cpu.cfs_period_us", 100000)


def version_1(tree, path, top="/"):
    tree.mount("/sys/fs/cgroup/cpuset", "cpuset", top)
    tree.mount("/sys/fs/cgroup/cpu,cpuacct", "cpu,cpuacct", top)
    tree.mount("/sys/fs/cgroup/memory", "memory", top)
    tree.mount("/sys/fs/cgroup/systemd", "name=systemd")
    for controllers in ("cpuset", "cpu,cpuacct", "memory"):
        tree.join(path, controllers)
    tree.join("/user.slice", "name=systemd")


def test_version_1(tree):
    version_1(tree, "/slurm/uid_5/job_7")
    v1(tree, "")
    v1(tree, "/slurm", memory=100 * GB, quota=800000)
    stat = f"active_file 5\ninactive_file 5\ntotal_inactive_file {GB}\ntotal_active_file {GB}"
    v1(tree, "/slurm/uid_5", memory=8 * GB, used=5 * GB, quota=150000, stat=stat)
    v1(tree, "/slurm/uid_5/job_7", quota=-1)
    assert available_memory(tree.root, {}) == 5 * GB
    assert usable_cpus(tree.root, {}) == 2


def test_hybrid(tree):
    """Memory and CPUs in version 1; version 2 beside them without controllers."""
    version_1(tree, "/job")
    tree.mount("/sys/fs/cgroup/unified")
    tree.join("/elsewhere")
    v1(tree, "", memory=6 * GB)
    v1(tree, "/job", quota=20000)
    assert available_memory(tree.root, {}) == 6 * GB
    assert usable_cpus(tree.root, {}) == 1


@pytest.mark.parametrize("path", ["/docker/a1", "/", "/../../docker/a1"])
def test_in_a_container(tree, path):
    """The mount point shows the container's own group, /proc the host's or the container's name of it."""
    version_1(tree, path, top="/docker/a1")
    v1(tree, "", memory=3 * GB, used=GB, quota=300000)
    assert available_memory(tree.root, {}) == 2 * GB
    assert usable_cpus(tree.root, {}) == 3


def test_no_control_groups(tree):
    assert available_memory(tree.root, {}) == 500 * GB
    assert usable_cpus(tree.root, {}) == 64


def test_the_slurm_job(tree):
    """What this process has already is subtracted."""
    own = psutil.Process().memory_info().rss
    job = {"SLURM_CPUS_ON_NODE": "16", "SLURM_MEM_PER_NODE": "65536"}
    assert usable_cpus(tree.root, job) == 16
    assert abs(available_memory(tree.root, job) - (64 * GB - own)) < 100 * MB
    per_cpu = {"SLURM_CPUS_ON_NODE": "4", "SLURM_MEM_PER_CPU": "2000"}
    assert abs(available_memory(tree.root, per_cpu) - (8000 * MB - own)) < 100 * MB
    assert available_memory(tree.root, {**job, "SLURM_MEM_PER_NODE": "0"}) == 500 * GB
    assert usable_cpus(tree.root, {"SLURM_CPUS_ON_NODE": "200"}) == 64


def test_the_user_chooses_the_cpus(tree):
    with spy.config.using(num_cpus=100):
        assert usable_cpus(tree.root, {"SLURM_CPUS_ON_NODE": "2"}) == 100


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no CPU affinity on this system")
def test_affinity(tmp_path):
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        assert usable_cpus(tmp_path, {}) == 1
    finally:
        os.sched_setaffinity(0, before)


# -- a real control group


def own_folder(controller):
    """Writable folder of the group that this process is in, and whether it is of version 2."""
    for group in limits._groups(Path("/"), controller):
        if (group / "cgroup.procs").exists():
            listed = limits._text(group / "cgroup.controllers").split()
            kind = "memory.limit_in_bytes" if controller == "memory" else "cpu.cfs_quota_us"
            if (group / kind).exists() or controller in listed:
                return group, controller in listed
    return None, False


@pytest.fixture
def limited():
    """Groups with 2 GB and one CPU in two levels, the limit on the upper one; yields the lower ones."""
    made, lower = [], []
    try:
        for controller in ("memory", "cpu"):
            group, version_2 = own_folder(controller)
            if group is None:
                pytest.skip(f"no control groups for {controller} on this machine")
            upper = group / f"rayspy-test-{os.getpid()}"
            if upper not in made:
                upper.mkdir()
                made.append(upper)
            _limit(group, upper, controller, version_2)
            if upper / "job" not in made:
                (upper / "job").mkdir()
                made.append(upper / "job")
                lower.append(upper / "job")
    except OSError as error:
        pytest.skip(f"control groups cannot be made here: {error}")
    else:
        yield lower
    finally:
        for folder in reversed(made):
            _remove(folder)


def _remove(folder):
    """The last processes of a group may be about to end."""
    for _ in range(50):
        try:
            return folder.rmdir()
        except OSError:
            time.sleep(0.1)
    return folder.rmdir()


def _limit(group, upper, controller, version_2):
    if version_2 and controller not in limits._text(group / "cgroup.subtree_control").split():
        (group / "cgroup.subtree_control").write_text(f"+{controller}")
    if controller == "memory":
        (upper / ("memory.max" if version_2 else "memory.limit_in_bytes")).write_text("2000000000")
    elif version_2:
        (upper / "cpu.max").write_text("100000 100000")
    else:
        (upper / "cpu.cfs_quota_us").write_text("100000")


SCRIPT = """
    import os, sys
    for group in sys.argv[1:]:
        with open(group + "/cgroup.procs", "w") as file:
            file.write(str(os.getpid()))
    import rayspy as spy
    from rayspy import cluster, limits
    spy.cluster_info()
    print("available", limits.available_memory())
    (node,) = cluster.start_local_ray(dashboard=False).nodes
    print("ray", node.cpus, node.memory + node.object_store, flush=True)
    print(spy.freqanalysis(spy.white_noise(nTrials=4, nChannels=2), parallel=True).data.shape)
"""


def test_a_real_control_group(limited, tmp_path):
    """A process of it sees its limits and starts a Ray that stays below them; the computation runs."""
    pytest.importorskip("ray")
    keep = {name: value for name, value in os.environ.items() if not name.startswith(("RAY", "SLURM"))}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SCRIPT), *map(str, limited)],
        env={**keep, "RAYSPY_TMPDIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    values = {line.split()[0]: line.split()[1:] for line in lines}
    available = int(values["available"][0])
    assert 10**9 < available < 2 * 10**9
    assert "1 thread on" in done.stdout
    assert float(values["memory"][2]) <= 1.0  # GB, half of what is available
    cpus, given = values["ray"]
    assert float(cpus) == 1
    assert 5 * 10**8 < float(given) < available - 10**8
    assert "(4, 1, 501, 2)" in lines[-1]
