"""Settings from the environment and from ``spy.config``."""

import pytest

import rayspy as spy
from rayspy.config import Config, Settings, parse_bytes, settings_from_environment
from rayspy.errors import InvalidTypeError, InvalidValueError


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("4GB", 4 * 10**9),
        ("512 MiB", 2**29),
        ("1.5kb", 1500),
        (1000, 1000),
        ("7", 7),
        (None, None),
        ("none", None),
    ],
)
def test_sizes(text, size):
    assert parse_bytes(text, "x") == size


@pytest.mark.parametrize("wrong", ["4XB", "GB", "-1", "0", "nan", "inf"])
def test_wrong_sizes(wrong):
    with pytest.raises(InvalidValueError, match="memory_budget"):
        parse_bytes(wrong, "memory_budget")


def test_environment():
    found = settings_from_environment(
        {
            "RAYSPY_MEMORY_BUDGET": "2GB",
            "RAYSPY_NUM_CPUS": "3",
            "RAYSPY_PROGRESS": "no",
            "SPYTMPDIR": "old",
            "X": "y",
        }
    )
    assert found == Settings(memory_budget=2 * 10**9, num_cpus=3, progress=False, scratch_dir="old")
    assert settings_from_environment({"RAYSPY_TMPDIR": "new", "SPYTMPDIR": "old"}).scratch_dir == "new"


def test_wrong_variables_are_named():
    with pytest.raises(InvalidValueError, match="RAYSPY_NUM_CPUS"):
        settings_from_environment({"RAYSPY_NUM_CPUS": "0"})
    with pytest.raises(InvalidTypeError, match="RAYSPY_WORKER_TIMEOUT"):
        settings_from_environment({"RAYSPY_WORKER_TIMEOUT": "soon"})


def test_changes_are_checked_and_can_be_undone():
    config = Config(Settings())
    config.memory_budget = "1GB"
    assert config.memory_budget == 10**9
    with config.using(memory_budget="2GB", num_cpus=2):
        assert (config.memory_budget, config.num_cpus) == (2 * 10**9, 2)
    assert (config.memory_budget, config.num_cpus) == (10**9, None)
    with pytest.raises(InvalidValueError, match="nonsense"):
        config.nonsense = 3
    assert "memory_budget = 1000000000" in repr(config)


def test_the_package_has_one():
    assert isinstance(spy.config, Config)
