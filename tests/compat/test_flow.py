"""How blocks are handed out as Dask tasks, without any cluster: several short ones at a time."""

from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
from rayspy_compat import blocks as worker
from rayspy_compat.flow import Flow, Lost
from rayspy_compat.on_ray import DaskOnRayExecutor

from rayspy.errors import ParallelError, WorkerError
from rayspy.executors.ray_actors import _Failure
from rayspy.planning.plan import Receipt

PLAN = SimpleNamespace(name="odd", needs_payload=False, memory=SimpleNamespace(per_worker=10**6))


def receipt(block, seconds=1e-4):
    return Receipt(block, seconds, 0, 0, "here", 1)


@dataclass
class Cluster:
    """Runs every task at once; those with the block `deadly` are lost, `failing` fails."""

    deadly: int = -1
    failing: int = -1
    most: int = 10**6
    seconds: float = 1e-4
    tasks: list = field(default_factory=list)
    cancelled: list = field(default_factory=list)

    def room(self):
        return 4

    def submit(self, tasks):
        first = len(self.tasks)
        self.tasks += tasks
        return {first + k: task for k, task in enumerate(tasks)}

    def finished(self, references, timeout):
        return references

    def outcome(self, reference):
        if self.deadly in self.tasks[reference]:
            raise Lost("KilledWorker")
        done = []
        for block in self.tasks[reference][: self.most]:
            failed = block == self.failing
            done.append(_Failure(None, "it failed", 1, "here") if failed else receipt(block, self.seconds))
            if failed:
                break
        return done

    def cancel(self, references):
        self.cancelled += references


def run(cluster, n=2000, plan=PLAN):
    seen = []
    Flow(plan, cluster, lambda one: seen.append(one.block)).finish(range(n))
    return seen


def test_short_blocks_go_out_several_at_a_time():
    cluster = Cluster()
    assert sorted(run(cluster)) == list(range(2000))
    assert len(cluster.tasks) < 100


def test_long_blocks_and_those_with_their_input_go_one_by_one():
    for cluster, plan in [
        (Cluster(seconds=1.0), PLAN),
        (Cluster(), SimpleNamespace(**{**vars(PLAN), "needs_payload": True})),
    ]:
        assert run(cluster, 20, plan) == list(range(20))
        assert cluster.tasks == [(k,) for k in range(20)]


def test_of_several_blocks_the_one_that_kills_is_found():
    cluster = Cluster(deadly=300)
    with pytest.raises(WorkerError, match="block 300 of odd: its worker was lost 3 times"):
        run(cluster)
    assert cluster.tasks.count((300,)) == 3


def test_a_block_that_fails_among_others_is_named_and_the_rest_is_cancelled():
    cluster, seen = Cluster(failing=300), []
    with pytest.raises(WorkerError, match="block 300 of odd failed"):
        Flow(PLAN, cluster, lambda one: seen.append(one.block)).finish(range(2000))
    assert seen == list(range(300))
    assert cluster.cancelled


def test_what_a_task_did_not_do_is_done_by_another():
    assert sorted(run(Cluster(most=3))) == list(range(2000))


def test_a_run_that_was_stopped_begins_no_further_block(monkeypatch):
    def run_block(plan, block, payload):
        if block == 2:
            assert worker.stop_here("run-1") == 1
        return receipt(block)

    monkeypatch.setattr(worker, "run_block", run_block)
    assert [one.block for one in worker.run_some(PLAN, range(10), None, "run-1")] == [0, 1, 2]
    assert worker.stop_here("run-1") == 0
    assert [one.block for one in worker.run_some(PLAN, range(2), None, "run-2")] == [0, 1]


def test_without_the_ray_of_a_client_it_says_what_to_do():
    """It was "Ray is not connected; call ray.init" where the scheduler of the client had been killed."""
    plan = SimpleNamespace(**vars(PLAN), id="1", for_workers=lambda: None)
    with pytest.raises(ParallelError, match=r"scheduler was killed or lost; make a new client"):
        DaskOnRayExecutor(2).run(plan, range(3), lambda one: None)
