"""The short form of ``python -m tests.chaos``: a process that is killed, a disk that becomes full."""

import os

import pytest

from tests.chaos.campaign import Case, cases, run_case, table


@pytest.mark.parametrize("victim", ["driver", "disk"])
def test_same_bits_or_a_named_error_then_the_same_bits_and_nothing_left(victim):
    if victim == "disk" and os.getuid():
        pytest.skip("a small disk can be mounted by root only")
    outcome = run_case(Case("threads", victim, 1.0, "disk", "alone"))
    assert outcome.hit
    assert outcome.good, outcome.line()
    assert outcome.said.startswith({"driver": "killed", "disk": "error ScratchSpaceError"}[victim])
    assert f"| threads | {victim} | 1 | 0 | 1 | 0 |" in table([outcome])


def test_the_same_seed_gives_the_same_cases():
    first, again, other = (cases(seed, ("ray", "threads")) for seed in (1, 1, 2))
    listed = [next(first) for _ in range(20)]
    assert listed == [next(again) for _ in range(20)]
    assert listed != [next(other) for _ in range(20)]
