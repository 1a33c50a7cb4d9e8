import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
import pytest

import rayspy as spy
from rayspy import cluster
from rayspy.config import config
from rayspy.errors import InvalidValueError, ParallelError, WorkerError
from rayspy.executors import ray_actors
from rayspy.executors.ray_actors import RayExecutor

pytest.importorskip("ray")


@dataclass(frozen=True)
class FakeMemory:
    per_worker: int = 1000


@dataclass(frozen=True)
class FakeReceipt:
    block: int
    pid: int
    value: object = None
    seconds: float = 0.05
    value_bytes: int = 0


@dataclass(frozen=True)
class FakePlan:
    n_blocks: int = 8
    what: str = "square"
    seconds: float = 0.0
    folder: str = ""
    inputs: np.ndarray | None = None
    memory: FakeMemory = FakeMemory()
    name: str = "freqanalysis"
    id: str = field(default_factory=lambda: os.urandom(8).hex())
    brief: bool = False
    """Blocks say that they took next to no time."""

    @property
    def needs_payload(self):
        return self.what == "payload"

    def payload(self, block):
        return self.inputs[block]

    def for_workers(self):
        return FakePlan(**{**self.__dict__, "inputs": None})


class Unpicklable(ValueError):
    def __init__(self, one, two):
        super().__init__(f"{one} {two}")
        self.handle = threading.Lock()


def run_fake(plan, block, payload=None):
    """Stands in for `rayspy.executors.run.run_block`."""
    if plan.folder:
        with Path(plan.folder, "log").open("a") as file:
            file.write(f"{block} {os.getpid()}\n")
    time.sleep(plan.seconds)
    seconds = 1e-4 if plan.brief else 0.05
    return FakeReceipt(block, os.getpid(), ACTIONS[plan.what](plan, block, payload), seconds)


def square(plan, block, payload):
    return block * block


def mean(plan, block, payload):
    return float(payload.mean()), payload.flags.writeable


def environment(plan, block, payload):
    return {name: os.environ.get(name) for name in cluster.ONE_THREAD}, signal.getsignal(signal.SIGINT)


def refuse(plan, block, payload):
    if block == 2:
        raise InvalidValueError("number below 2", "block", block)


def key_error(plan, block, payload):
    try:
        return {}["first"]
    except KeyError as error:
        raise KeyError("second") from error


def unpicklable(plan, block, payload):
    raise Unpicklable("not", "portable")


def clock(plan, block, payload):
    return time.monotonic()


def leave(plan, block, payload):
    raise SystemExit(3)


def die_once(plan, block, payload):
    if block == 3:
        try:
            os.close(os.open(f"{plan.folder}/died", os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return None
        os.kill(os.getpid(), signal.SIGKILL)


def die(plan, block, payload):
    if block == 1:
        os.kill(os.getpid(), signal.SIGKILL)


def refuse_30(plan, block, payload):
    if block == 30:
        raise InvalidValueError("number other than 30", "block", block)


def die_at_30(plan, block, payload):
    if block == 30:
        os.kill(os.getpid(), signal.SIGKILL)


def fail_late(plan, block, payload):
    if block == 0:
        raise ValueError("first")
    time.sleep(30)


ACTIONS = {
    "square": square,
    "payload": mean,
    "environment": environment,
    "refuse": refuse,
    "refuse 30": refuse_30,
    "die at 30": die_at_30,
    "key_error": key_error,
    "unpicklable": unpicklable,
    "leave": leave,
    "clock": clock,
    "die_once": die_once,
    "die": die,
    "fail_late": fail_late,
}


@pytest.fixture(scope="module")
def local_ray():
    info = cluster.start_local_ray(3, dashboard=False)
    yield info
    cluster.shutdown_local_ray()


def run(plan, n_workers=2, blocks=None):
    receipts = []
    executor = RayExecutor(n_workers, run=run_fake)
    executor.run(plan, range(plan.n_blocks) if blocks is None else blocks, receipts.append)
    return receipts


def blocks_of(receipts):
    return sorted(receipt.block for receipt in receipts)


@pytest.mark.parametrize("n_workers", [1, 2, 3])
def test_every_receipt_arrives_once(local_ray, n_workers):
    receipts = run(FakePlan(30, seconds=0.005), n_workers)
    assert blocks_of(receipts) == list(range(30))
    assert all(receipt.value == receipt.block**2 for receipt in receipts)
    assert len({receipt.pid for receipt in receipts}) <= n_workers
    assert RayExecutor(n_workers).n_workers == n_workers


def test_without_a_limit_all_cpus_work(local_ray):
    deadline = time.monotonic() + 60
    pids = set()
    while len(pids) < 3 and time.monotonic() < deadline:  # actors that are slow to start join later
        pids = {receipt.pid for receipt in run(FakePlan(30, seconds=0.05), None)}
    assert len(pids) == 3
    assert RayExecutor().n_workers == 3


def test_only_the_given_blocks_run(local_ray):
    assert blocks_of(run(FakePlan(8), blocks=[5, 2])) == [2, 5]
    assert run(FakePlan(8), blocks=[]) == []


def test_actors_are_kept_and_the_second_call_is_cheap(local_ray):
    first = {receipt.pid for receipt in run(FakePlan(12, seconds=0.05))}
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        again = {receipt.pid for receipt in run(FakePlan(2))}
        seconds.append(time.perf_counter() - start)
        assert again <= first
    assert np.median(seconds) < 0.05


def test_workers_use_one_thread_and_ignore_ctrl_c(local_ray):
    variables, handler = run(FakePlan(1, "environment"))[0].value
    assert variables == cluster.ONE_THREAD
    assert handler == signal.SIG_IGN


def test_error_arrives_as_it_was_raised(local_ray):
    with pytest.raises(InvalidValueError) as caught:
        run(FakePlan(8, "refuse"))
    assert caught.value.varname == "block"
    note = "\n".join(caught.value.__notes__)
    assert "block 2 of freqanalysis" in note
    assert "in refuse" in note
    assert "in process" in note
    assert blocks_of(run(FakePlan(8))) == list(range(8))


def test_cause_of_an_error_is_in_the_note(local_ray):
    with pytest.raises(KeyError, match="second") as caught:
        run(FakePlan(1, "key_error"))
    assert "KeyError: 'first'" in caught.value.__notes__[0]


def test_error_that_cannot_be_pickled_becomes_worker_error(local_ray):
    with pytest.raises(WorkerError, match=r"(?s)block 0 of freqanalysis.*Unpicklable: not portable"):
        run(FakePlan(1, "unpicklable"))


def test_exit_in_a_block_does_not_end_the_session(local_ray):
    with pytest.raises(WorkerError, match="SystemExit: 3"):
        run(FakePlan(1, "leave"))


def test_nothing_runs_after_an_error(local_ray, tmp_path):
    run(FakePlan(9, seconds=0.05), 3)
    start = time.perf_counter()
    with pytest.raises(ValueError, match="first"):
        run(FakePlan(20, "fail_late", folder=str(tmp_path)), 3)
    assert time.perf_counter() - start < 10
    lines = [line.split() for line in (tmp_path / "log").read_text().splitlines()]
    pids = {int(pid) for block, pid in lines if block != "0"}
    assert not [pid for pid in pids if psutil.pid_exists(pid)]
    assert blocks_of(run(FakePlan(8))) == list(range(8))


def test_error_in_collect_stops_the_run(local_ray):
    def refuse_receipt(receipt):
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        RayExecutor(2, run=run_fake).run(FakePlan(20, seconds=0.1), range(20), refuse_receipt)
    assert blocks_of(run(FakePlan(8))) == list(range(8))


def test_blocks_of_a_killed_worker_run_again(local_ray, tmp_path):
    receipts = run(FakePlan(12, "die_once", seconds=0.02, folder=str(tmp_path)))
    assert blocks_of(receipts) == list(range(12))
    assert (tmp_path / "died").exists()


def test_worker_killed_from_outside(local_ray, tmp_path):
    plan = FakePlan(30, seconds=0.05, folder=str(tmp_path))
    seen = []

    def collect(receipt):
        seen.append(receipt)
        if len(seen) == 5:
            os.kill(receipt.pid, signal.SIGKILL)

    RayExecutor(2, run=run_fake).run(plan, range(30), collect)
    assert blocks_of(seen) == list(range(30))


def test_workers_that_died_between_calls_are_replaced(local_ray):
    before = {receipt.pid for receipt in run(FakePlan(12, seconds=0.05), 3)}
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    receipts = run(FakePlan(12, seconds=0.02), 1)
    assert blocks_of(receipts) == list(range(12))
    assert not before & {receipt.pid for receipt in receipts}


def test_block_that_kills_its_workers_ends_the_run(local_ray, tmp_path):
    with pytest.raises(WorkerError, match=r"block 1 of freqanalysis.*died 3 times.*memory"):
        run(FakePlan(6, "die", folder=str(tmp_path)))
    starts = [line.split()[0] for line in (tmp_path / "log").read_text().splitlines()]
    assert starts.count("1") == 3
    assert blocks_of(run(FakePlan(8))) == list(range(8))


@pytest.mark.parametrize(
    ("n_actors", "seconds", "n_left", "n"),
    [
        (2, 0.05, 10_000, 1),  # what one driver manages block by block
        (2, 1e-4, 10_000, 100),  # short blocks
        (1000, 0.1, 10**7, 50),  # many actors
        (1000, 0.1, 10_000, 22),  # fewer towards the end, so that nobody waits long
        (10_000, 0.1, 640_000, 178),  # and no fewer than the driver can hand out
        (10_000, 0.0, 10**9, 256),
    ],
)
def test_blocks_per_task(n_actors, seconds, n_left, n):
    assert ray_actors.blocks_per_task(n_actors, seconds, n_left) == n


def starts_of(folder):
    return [int(line.split()[0]) for line in (folder / "log").read_text().splitlines()]


def test_short_blocks_go_out_several_at_a_time(local_ray, monkeypatch):
    tasks = []
    send = ray_actors._Run._send
    monkeypatch.setattr(
        ray_actors._Run, "_send", lambda self, slot, blocks: tasks.append(blocks) or send(self, slot, blocks)
    )
    receipts = run(FakePlan(200, brief=True))
    assert blocks_of(receipts) == list(range(200))
    assert [block for blocks in tasks for block in blocks] == list(range(200))
    assert len(tasks) < 100


@pytest.mark.parametrize("settings", [{}, {"chan_per_worker": 1}, {"keeptrials": False}], ids=str)
def test_bits_do_not_depend_on_how_many_blocks_a_task_has(local_ray, monkeypatch, tmp_path, settings):
    np.random.default_rng(0).standard_normal((4000, 3)).astype(np.float32).tofile(tmp_path / "x.dat")
    data = spy.AnalogData(spy.raw_binary(tmp_path / "x.dat", "float32", 3), samplerate=1000.0)
    stops = np.arange(1, 41) * 100
    data.definetrial(np.column_stack([stops - 100, stops, 0 * stops]))
    monkeypatch.setattr(ray_actors, "blocks_per_task", lambda *_: 5)
    tasks, send = [], ray_actors._Run._send
    monkeypatch.setattr(
        ray_actors._Run, "_send", lambda self, *args: tasks.append(args[1]) or send(self, *args)
    )
    with spy.config.using(block_bytes=2400, inmemory_bytes=1000):
        found, wanted = (spy.freqanalysis(data, parallel=where, **settings) for where in (True, False))
    assert max(map(len, tasks)) == 5
    assert found.data[()].tobytes() == wanted.data[()].tobytes()


def test_a_block_that_fails_among_others_is_named(local_ray, tmp_path):
    with pytest.raises(InvalidValueError) as caught:
        run(FakePlan(200, "refuse 30", folder=str(tmp_path), brief=True))
    assert "block 30 of freqanalysis failed" in caught.value.__notes__[0]
    assert 31 not in starts_of(tmp_path)


def test_of_several_blocks_the_one_that_kills_is_found(local_ray, tmp_path):
    with pytest.raises(WorkerError, match=r"block 30 of freqanalysis.*died 3 times"):
        run(FakePlan(200, "die at 30", folder=str(tmp_path), brief=True))
    assert starts_of(tmp_path).count(30) in (3, 4)


def test_payloads_are_put_just_before_use(local_ray):
    taken, returned, most = [], [], []

    class Watched(FakePlan):
        def payload(self, block):
            taken.append(block)
            most.append(len(taken) - len(returned))
            return super().payload(block)

    inputs = np.arange(40.0).repeat(1000).reshape(40, 1000)
    plan = Watched(40, "payload", seconds=0.005, inputs=inputs)
    RayExecutor(2, run=run_fake).run(plan, range(40), returned.append)
    assert sorted((r.block, r.value) for r in returned) == [(i, (float(i), False)) for i in range(40)]
    assert max(most) <= 4


def test_payloads_are_bounded_by_the_object_store(local_ray, monkeypatch):
    most = []
    send = ray_actors._Run._send

    def watched(self, slot, block):
        send(self, slot, block)
        most.append(sum(task.payload_bytes for other in self._team for task in other.tasks.values()))

    def look(self):
        original(self)
        self._payload_limit = 10_000

    original = ray_actors._Run._look_at_nodes
    monkeypatch.setattr(ray_actors._Run, "_send", watched)
    monkeypatch.setattr(ray_actors._Run, "_look_at_nodes", look)
    receipts = run(FakePlan(10, "payload", inputs=np.ones((10, 1000))), 3)
    assert blocks_of(receipts) == list(range(10))
    assert max(most) <= 16_000


def test_memory_of_a_node_limits_its_workers(local_ray):
    run(FakePlan(9, seconds=0.05), 3)
    memory = FakeMemory(per_worker=local_ray.nodes[0].memory // 2 + 1)
    receipts = run(FakePlan(6, "clock", seconds=0.05, memory=memory), 3)
    assert blocks_of(receipts) == list(range(6))
    assert np.diff(sorted(receipt.value for receipt in receipts)).min() > 0.045  # one at a time


def test_busy_cluster_is_reported(local_ray):
    import ray

    ray_actors.release_actors()

    @ray.remote(num_cpus=1)
    class Holder:
        def hold(self):
            return True

    holders = [Holder.remote() for _ in range(3)]
    ray.get([holder.hold.remote() for holder in holders])
    try:
        with (
            config.using(worker_timeout=0.5),
            pytest.raises(ParallelError, match=r"within 0.5 s.*0 are free"),
        ):
            run(FakePlan(3))
        ray.kill(holders.pop())
        assert blocks_of(run(FakePlan(6))) == list(range(6))
    finally:
        for holder in holders:
            ray.kill(holder)


def test_one_free_cpu_is_enough(local_ray):
    import ray

    ray_actors.release_actors()

    @ray.remote(num_cpus=2)
    class Holder:
        def hold(self):
            return True

    holder = Holder.remote()
    ray.get(holder.hold.remote())
    assert blocks_of(run(FakePlan(6), 3)) == list(range(6))
    ray.kill(holder)


def test_actors_are_released(local_ray):
    pids = {receipt.pid for receipt in run(FakePlan(6, seconds=0.02))}
    ray_actors.release_actors()
    assert not [pid for pid in pids if psutil.pid_exists(pid)]


def test_without_ray_the_error_says_so(monkeypatch):
    monkeypatch.setattr(cluster.find, "ray_is_connected", lambda: False)
    with pytest.raises(ParallelError, match="not connected"):
        run(FakePlan(2))


SCRIPT = """
    import sys, time
    sys.path.insert(0, {here!r})
    from rayspy import cluster
    from rayspy.executors.ray_actors import RayExecutor
    from test_ray_actors import FakePlan, run_fake

    cluster.start_local_ray(2, dashboard=False)
    print("folder", cluster.state.local.folder, flush=True)
    print("pids", *[p.pid for p in cluster.ray_processes()], flush=True)
    executor = RayExecutor(2, run=run_fake)
    executor.run(FakePlan(2), range(2), lambda receipt: None)
    plan = FakePlan(400, seconds=0.2)
    executor.run(plan, range(400), lambda receipt: print("receipt", receipt.pid, flush=True))
"""


def start_script(folder):
    script = folder / "script.py"
    script.write_text(textwrap.dedent(SCRIPT.format(here=str(Path(__file__).parent))))
    process = subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    )
    folder, pids = "", set()
    for line in process.stdout:
        word, *rest = line.split()
        if word == "folder":
            folder = Path(rest[0])
        if word == "pids":
            pids |= {int(pid) for pid in rest}
        if word == "receipt":
            pids.add(int(rest[0]))
            break
    else:
        raise AssertionError(process.stderr.read())
    return process, folder, [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]


def running(processes):
    """Without those that have ended, but which nobody has asked for their exit status yet."""
    found = []
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def test_ctrl_c_ends_everything(tmp_path):
    process, folder, children = start_script(tmp_path)
    assert len(children) > 4
    start = time.perf_counter()
    os.killpg(process.pid, signal.SIGINT)  # what a terminal does
    _, errors = process.communicate(timeout=20)
    assert time.perf_counter() - start < 15
    assert process.returncode in (1, 130, -signal.SIGINT)  # Ray makes it 1
    assert "KeyboardInterrupt" in errors
    assert "ended before its Ray" not in errors
    assert not running(psutil.wait_procs(children, timeout=1)[1])
    assert not folder.exists()


def test_a_killed_driver_leaves_neither_processes_nor_its_folder(tmp_path):
    process, folder, children = start_script(tmp_path)
    process.kill()
    _, errors = process.communicate(timeout=20)
    assert f"process {process.pid} ended before its Ray did" in errors
    assert not psutil.wait_procs(children, timeout=15)[1]
    deadline = time.monotonic() + 5
    while folder.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not folder.exists()


def test_a_folder_that_was_left_is_removed_at_the_next_start():
    folder, lock = cluster.claim_folder()
    (folder / "s").mkdir()
    lock.close()
    cluster.claim_folder()[1].close()
    assert not folder.exists()


@pytest.mark.slow
def test_nodes_that_appear_are_used_and_may_vanish(monkeypatch, tmp_path):
    import ray
    from ray.cluster_utils import Cluster

    monkeypatch.setattr(ray_actors, "_IDLE_SECONDS", 0.5)
    cluster.shutdown_local_ray()
    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        cluster.connect_existing(nodes.address)
        pids, second = {}, []

        def collect(receipt):
            pids.setdefault(receipt.pid, []).append(receipt.block)
            count = sum(map(len, pids.values()))
            if count == 5:
                second.append(nodes.add_node(num_cpus=1))
            if count == 60:
                nodes.remove_node(second.pop(), allow_graceful=False)

        RayExecutor(run=run_fake).run(FakePlan(120, seconds=0.1), range(120), collect)
        assert len(pids) >= 2
        assert sorted(block for blocks in pids.values() for block in blocks) == list(range(120))
        time.sleep(1.5)
        assert not [pid for pid in pids if psutil.pid_exists(pid)]  # released: this Ray is not ours
    finally:
        ray.shutdown()
        nodes.shutdown()
