"""Ctrl-C that comes while Python calls something back."""

import gc
import signal
import threading
import time

import pytest

from rayspy.executors.interrupts import heard


def interrupt_here():
    signal.raise_signal(signal.SIGINT)


def wait_for_ctrl_c():
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        time.sleep(0.01)


class Collector:
    """As Dask has one."""

    came = False

    def called(self, phase, info):
        if phase == "stop" and not self.came:
            self.came = True
            interrupt_here()


class Deleted:
    def __del__(self):
        interrupt_here()


@pytest.mark.parametrize("way", ["collector", "deleted"])
def test_one_that_python_would_drop_is_heard_a_moment_later(way):
    collector = []

    def work():
        with heard():
            if way == "collector":
                collector.append(Collector().called)
                gc.callbacks.extend(collector)
                gc.collect()
            else:
                Deleted()
            wait_for_ctrl_c()

    try:
        with pytest.raises(KeyboardInterrupt):
            work()
    finally:
        for callback in collector:
            gc.callbacks.remove(callback)


def test_others_come_at_once_and_the_handler_is_put_back():
    came = []
    before = signal.signal(signal.SIGINT, lambda *_: came.append(1))
    try:
        mine = signal.getsignal(signal.SIGINT)
        with heard():
            interrupt_here()
            assert came == [1]
        assert signal.getsignal(signal.SIGINT) is mine
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        with heard():
            interrupt_here()
    finally:
        signal.signal(signal.SIGINT, before)


def test_threads_are_left_alone():
    before, seen = signal.getsignal(signal.SIGINT), []

    def work():
        with heard():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
