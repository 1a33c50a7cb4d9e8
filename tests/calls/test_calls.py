"""Odd values for every keyword of all that is public: an error that names it, or a call that is listed."""

import contextlib
import inspect
from importlib.util import find_spec
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


WITHOUT = {"Explanation", "IntervalData", "StatData", "CouplingData", "StructDict"}
"""Classes that users do not make themselves."""


def test_nothing_public_is_left_out() -> None:
    """Neither a function, nor a keyword of one, nor a setting."""
    replaced: dict[object, set[str]] = {}
    for base in campaign.bases():
        function = inspect.unwrap(base.function)
        replaced.setdefault(function, set()).update(base.replaced())
    settings = {name for name in spy.config.settings.__dataclass_fields__ if name != "log_level"}
    assert settings <= replaced[campaign._setting]
    for name in set(spy.__all__) - WITHOUT:
        if not callable(getattr(spy, name)):
            continue
        function = inspect.unwrap(getattr(spy, name))
        kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        own = {p.name for p in inspect.signature(function).parameters.values() if p.kind in kinds}
        if own and not (campaign.NEEDS.get(name) and not find_spec(campaign.NEEDS[name])):
            assert own - {"function"} <= replaced.get(function, set()), name
