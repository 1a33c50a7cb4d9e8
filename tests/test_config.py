"""Settings from the environment and from ``spy.config``."""

import threading
from contextlib import contextmanager

import numpy as np
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


def test_changes_for_a_while_hold_in_one_thread():
    """Two threads whose blocks overlap: neither sees the other's settings, none are left behind."""
    config, inside, seen = Config(Settings()), threading.Barrier(2), {}

    def work(n):
        with config.using(num_cpus=n):
            inside.wait(10)
            config.block_bytes = 100 * n
            inside.wait(10)
            seen[n] = config.num_cpus, config.block_bytes
            if n == 1:
                inside.wait(10)
        if n == 2:  # ends between the beginning and the end of the other
            inside.wait(10)

    threads = [threading.Thread(target=work, args=(n,)) for n in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert seen == {1: (1, 100), 2: (2, 200)}
    assert config.settings == Settings()


def test_nothing_is_changed_where_one_of_several_settings_is_wrong():
    config = Config(Settings())
    with pytest.raises(InvalidValueError, match="block_bytes"), config.using(num_cpus=2, block_bytes=-1):
        pass
    assert config.settings == Settings()


def test_settings_of_a_block_hold_in_the_threads_that_compute():
    seen = set()

    def noting(region):
        seen.add(spy.config.inmemory_bytes)
        return np.zeros(tuple(part.stop - part.start for part in region))

    class Source:
        shape, dtype, location, in_memory = (100, 2), np.dtype(float), "", False

        @contextmanager
        def reader(self):
            yield noting

    data = spy.AnalogData(Source(), samplerate=10, trialdefinition=np.array([[0, 50, 0], [50, 100, 0]]))
    with spy.config.using(inmemory_bytes=12345, num_cpus=2, block_bytes=400):
        spy.freqanalysis(data)
    assert seen == {12345}


@pytest.mark.parametrize("wrong", [True, float("inf"), float("nan"), -1, "soon", 10**400])
def test_waiting_ends(wrong):
    with pytest.raises((InvalidValueError, InvalidTypeError), match="worker_timeout"):
        Config(Settings()).worker_timeout = wrong


def test_what_is_kept_may_be_kept_for_ever():
    config = Config(Settings())
    config.resume_keep = float("inf")
    with pytest.raises(InvalidTypeError, match="pickle_keep"):
        config.pickle_keep = True
