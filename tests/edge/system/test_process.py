"""Memory, threads and age of the process that runs the tests."""

import resource
import threading
import time

import numpy as np
import pytest

from edge.system import process


def test_resident_memory_grows_with_an_allocation():
    before = process.resident_mb()
    allocated = np.ones(60_000_000, np.uint8)
    after, peak = process.resident_mb(), process.peak_resident_mb()
    assert before
    assert after
    assert peak
    assert 50 < after - before < 80, allocated.size
    assert peak >= after


def test_threads_are_counted():
    before, release = process.thread_count(), threading.Event()
    thread = threading.Thread(target=release.wait)
    thread.start()
    during = process.thread_count()
    release.set()
    thread.join()
    assert before
    assert during == before + 1


def test_the_age_of_the_process(tmp_path):
    status = tmp_path / "proc/self/stat"
    status.parent.mkdir(parents=True)
    since_boot = int(100 * (time.clock_gettime(time.CLOCK_BOOTTIME) - 3))  # hundredths of a second: 3 s ago
    status.write_text(f"7 (a (b) c) S {' '.join(['0'] * 18)} {since_boot} 0 0\n")
    assert process.seconds_since_start(tmp_path) == pytest.approx(3, abs=1)
    age = process.seconds_since_start()
    assert age is not None
    assert age > 0


def test_without_proc_nothing_is_known(tmp_path):
    functions = (process.resident_mb, process.peak_resident_mb, process.thread_count, process.seconds_since_start)
    assert [function(tmp_path) for function in functions] == [None] * 4


def test_memory_is_limited_within_the_block():
    before = resource.getrlimit(resource.RLIMIT_AS)
    with process.memory_limit(100_000_000):
        bytearray(10_000_000)
        with pytest.raises(MemoryError):
            bytearray(200_000_000)
        inside = resource.getrlimit(resource.RLIMIT_AS)
        with process.memory_limit(10**15):  # does not raise the limit that there is
            assert resource.getrlimit(resource.RLIMIT_AS) == inside
    assert resource.getrlimit(resource.RLIMIT_AS) == before
    bytearray(200_000_000)
