"""Odd values for every keyword of all that is public: an error that names it, or a call that is listed."""

import contextlib
from pathlib import Path

import rayspy as spy
from tests.calls import campaign


def test_every_call_is_refused_by_name_or_accepted_on_purpose(tmp_path: Path) -> None:
    """The calls are made in one process with tiny data; how long each takes is for the script."""
    taken, wrong, n = campaign.accepted(), [], 0
    level = spy.config.log_level
    with contextlib.chdir(tmp_path), spy.config.using(num_cpus=1, memory_budget="1GB"):
        spy.set_loglevel("CRITICAL")
        try:
            for base, keyword, value in campaign.calls(few=True):
                n += 1
                found = campaign.outcome(base, keyword, value)
                if found.fault or (found.accepted and value not in taken.get((base.name, keyword), ())):
                    wrong.append(f"{base.name} {keyword}={value}: {found.fault or 'accepted'}")
        finally:
            spy.set_loglevel(level)
    assert not wrong, "\n".join(wrong)
    assert n > 1500
