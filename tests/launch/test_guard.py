"""The other hosts of a job whose first one is lost; SLURM's commands are scripts."""

import os
import stat

import pytest

from rayspy.launch import guard


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """Write SLURM's commands; returns a function that tells which were called."""
    monkeypatch.setattr(guard.signal, "signal", lambda *_: None)
    monkeypatch.setattr(guard, "_LOOK_SECONDS", 0.01)
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    def commands(job="RUNNING", host="allocated", requeue=True):
        texts = {
            "squeue": f"echo {job}",
            "sinfo": f"echo '{host}'",
            "scontrol": f"echo scontrol $* >> {tmp_path}/called; {'true' if requeue else 'false'}",
            "scancel": f"echo scancel $* >> {tmp_path}/called",
        }
        for name, text in texts.items():
            (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
            (tmp_path / name).chmod(stat.S_IRWXU)
        return lambda: (tmp_path / "called").read_text().split("\n")[:-1]

    return commands


@pytest.mark.parametrize("state", ["down", "down*", "allocated*", "mixed*"])
def test_a_lost_first_host_requeues_the_job(slurm, state):
    called = slurm(host=state)
    assert "job 7 is requeued" in guard.end_job_without("n1", 5, lambda: False)
    assert called() == ["scontrol requeue 7"]


def test_a_job_that_may_not_be_requeued_ends(slurm):
    called = slurm(host="down*", requeue=False)
    assert "cancelled" in guard.end_job_without("n1", 5, lambda: False)
    assert called() == ["scontrol requeue 7", "scancel 7"]


@pytest.mark.parametrize(
    ("state", "patience", "released"),
    [({"job": "COMPLETING", "host": "down"}, 5, False), ({}, 0.05, False), ({"host": "down"}, 5, True)],
)
def test_nothing_is_done_to_other_jobs(slurm, tmp_path, state, patience, released):
    slurm(**state)
    assert guard.end_job_without("n1", patience, lambda: released) == ""
    assert not (tmp_path / "called").exists()


def test_without_slurm_nothing_is_done(monkeypatch, tmp_path):
    monkeypatch.setattr(guard.signal, "signal", lambda *_: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    assert guard.end_job_without("n1", 5, lambda: False) == ""
