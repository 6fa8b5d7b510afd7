"""A signal ends a run in order; one that is stuck in native code is ended by force."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from edge.system import stop_signals
from edge.system.stop_signals import RunLimit, StopSignals
from tests.support.fakes import FakeClock

# Locking it twice never returns, and no signal interrupts it. ctypes releases the GIL, as OpenCV does.
STUCK = """
import ctypes
from edge.system import log
from edge.system.stop_signals import StopSignals
log.configure()
lock, mutex = ctypes.CDLL(None).pthread_mutex_lock, ctypes.create_string_buffer(64)
lock(mutex)
with StopSignals(end_seconds={seconds}):
    print("ready", flush=True)
    lock(mutex)
"""


def test_the_first_signal_stops_and_the_second_exits():
    before = signal.getsignal(signal.SIGTERM)
    with StopSignals() as stopped:
        assert not stopped()
        signal.raise_signal(signal.SIGTERM)
        assert stopped()
        with pytest.raises(SystemExit) as ended:
            signal.raise_signal(signal.SIGINT)
        assert ended.value.code == 130
    assert signal.getsignal(signal.SIGTERM) == before


def test_it_leaves_no_thread_and_no_descriptor():
    threads, descriptors = threading.active_count(), len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for _ in range(2):
        with StopSignals():
            signal.raise_signal(signal.SIGTERM)
    assert threading.active_count() == threads
    assert len(os.listdir("/proc/self/fd")) == descriptors  # noqa: PTH208
    assert signal.set_wakeup_fd(-1) == -1


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_native_code_that_never_returns_ends_at_the_first_signal(number, status):
    with start(STUCK.format(seconds=0.1)) as process:
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == status
    assert errors == f"edge: error: the run did not end within 0.1 s of {number.name}; ended by force\n"


def test_a_second_signal_ends_native_code_sooner():
    with start(STUCK.format(seconds=3600)) as process:
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode in (130, 143)  # two signals that wait are delivered in the order of their numbers


def start(program):
    """Return a process that runs `program`, after it has printed its first line."""
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    return process


def test_a_run_ends_at_the_signal_or_after_its_duration(monkeypatch):
    clock = FakeClock(50.0)
    monkeypatch.setattr(stop_signals, "time", clock)
    assert RunLimit(lambda: True, None)()
    endless, limited = RunLimit(lambda: False, None), RunLimit(lambda: False, 10.0)
    clock.now = 60.0  # loading takes none of the duration
    assert not limited()
    clock.now = 69.9
    assert not limited()
    clock.now = 70.0
    assert limited()
    assert not endless()
