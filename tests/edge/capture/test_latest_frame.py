"""The loop gets the newest frame of a live camera, its end and its errors; nothing of it outlives the run."""

import threading
import time
from functools import partial
from itertools import count
from types import SimpleNamespace

import numpy as np
import pytest

from edge.capture import latest_frame
from edge.capture.encoded_frame import EncodedFrame
from edge.capture.latest_frame import LatestFrame
from edge.errors import CameraError, ImageError
from tests.support.fakes import frame
from tests.support.kiosk import wait_until

TIMEOUT_SECONDS = 30.0  # only a failing test waits as long
END = object()  # for ControlledCamera.deliver: no more frames


class ControlledCamera:
    """Delivers what the test passes to `deliver`, in the thread that asks for it."""

    def __init__(self):
        self.asked, self.delivered = threading.Semaphore(0), threading.Semaphore(0)
        self.next, self.closed, self.threads = None, threading.Event(), set()

    def frames(self):
        try:
            while True:
                self.threads.add(threading.current_thread())
                self.asked.release()
                assert self.delivered.acquire(timeout=TIMEOUT_SECONDS)
                if self.next is END:
                    return
                if isinstance(self.next, BaseException):
                    raise self.next
                yield self.next
        finally:
            self.closed.set()

    def deliver(self, item):
        """Wait until a frame is asked for, and deliver `item`: a frame, an exception to raise, or END."""
        assert self.asked.acquire(timeout=TIMEOUT_SECONDS)
        self.next = item
        self.delivered.release()

    def wait_until_asked(self):
        """Wait until the next frame is asked for, so that the one before was taken."""
        assert self.asked.acquire(timeout=TIMEOUT_SECONDS)
        self.asked.release()


@pytest.fixture
def camera():
    camera = ControlledCamera()
    yield camera
    camera.next = END  # for a thread that is still waiting
    camera.delivered.release()
    for thread in camera.threads:
        thread.join(TIMEOUT_SECONDS)
        assert not thread.is_alive()


def take_in_thread(frames):
    """Take the next of `frames` in a thread; return that, and the list that gets the index."""
    taken = []
    reader = threading.Thread(target=lambda: taken.append(next(frames).index))
    reader.start()
    return reader, taken


def test_a_fast_reader_gets_every_frame(camera):
    with LatestFrame(camera.frames()) as frames:
        for index in range(5):
            camera.deliver(frame(index=index))
            assert next(frames).index == index
        camera.deliver(END)
        assert next(frames, None) is None
        assert next(frames, None) is None


def test_a_slow_reader_gets_the_newest_frame(camera):
    with LatestFrame(camera.frames()) as frames:
        camera.deliver(frame(index=0))
        assert next(frames).index == 0
        for index in (1, 2, 3):
            camera.deliver(frame(index=index))
        camera.wait_until_asked()
        assert next(frames).index == 3
        camera.deliver(frame(index=4))
        assert next(frames).index == 4
        camera.deliver(END)


def encoded_frame(index, decode_gray):
    return EncodedFrame(decode_gray, lambda: pytest.fail("color is not asked for"), index / 30, index, 100 + index / 30)


def test_only_the_frame_that_the_reader_takes_is_decoded(camera):
    decoded = []

    def decode(index):
        decoded.append((index, threading.current_thread()))
        return np.full((48, 64), index, np.uint8)

    with LatestFrame(camera.frames()) as frames:
        for index in (0, 1, 2):
            camera.deliver(encoded_frame(index, partial(decode, index)))
        camera.wait_until_asked()
        frame = next(frames)
        camera.deliver(END)
    assert decoded == [(2, threading.current_thread())]
    assert (frame.index, frame.time, frame.captured_at) == (2, 2 / 30, 100 + 2 / 30)
    assert (frame.gray == 2).all()


def test_a_reader_waits_for_a_frame_that_is_not_damaged(camera):
    def fail():
        raise ImageError("damaged")

    with LatestFrame(camera.frames()) as frames:
        reader, taken = take_in_thread(frames)
        camera.deliver(encoded_frame(0, fail))
        camera.deliver(encoded_frame(1, lambda: np.zeros((48, 64), np.uint8)))
        reader.join(TIMEOUT_SECONDS)
        assert taken == [1]
        camera.deliver(END)


def test_a_stop_ends_the_wait_for_an_image_that_is_not_damaged(camera):
    decoded = threading.Event()

    def fail():
        decoded.set()
        raise ImageError("damaged")

    with LatestFrame(camera.frames(), stopped=decoded.is_set) as frames:
        taken: list[int] = []
        reader = threading.Thread(target=lambda: taken.extend(each.index for each in frames))
        reader.start()
        camera.deliver(encoded_frame(0, fail))
        assert decoded.wait(TIMEOUT_SECONDS)
        camera.deliver(frame(index=1))
        camera.deliver(END)
        reader.join(TIMEOUT_SECONDS)
        assert taken == []


def test_the_camera_is_read_in_a_thread_that_entering_starts(camera):
    frames = LatestFrame(camera.frames())
    assert not camera.threads
    with frames:
        camera.deliver(frame())
        next(frames)
        assert threading.current_thread() not in camera.threads
        camera.deliver(END)


def test_a_reader_waits_for_the_next_frame(camera):
    with LatestFrame(camera.frames()) as frames:
        reader, indices = take_in_thread(frames)
        camera.wait_until_asked()
        assert indices == []
        camera.deliver(frame(index=7))
        reader.join(TIMEOUT_SECONDS)
        assert indices == [7]
        camera.deliver(END)


def test_the_last_frame_comes_before_the_end(camera):
    with LatestFrame(camera.frames()) as frames:
        camera.deliver(frame(index=3))
        camera.deliver(END)
        assert camera.closed.wait(TIMEOUT_SECONDS)
        assert [each.index for each in frames] == [3]


def test_an_error_of_the_camera_comes_after_its_last_frame(camera):
    with LatestFrame(camera.frames()) as frames:
        camera.deliver(frame(index=0))
        camera.deliver(CameraError("the cable is off"))
        assert camera.closed.wait(TIMEOUT_SECONDS)
        assert next(frames).index == 0
        for _ in range(2):
            with pytest.raises(CameraError, match="the cable is off"):
                next(frames)


def test_an_error_of_opening_is_raised_at_the_first_frame():
    def fail():
        raise CameraError("no such camera")
        yield frame()

    with LatestFrame(fail()) as frames, pytest.raises(CameraError, match="no such camera"):
        next(frames)


def test_a_stop_ends_the_wait_for_a_silent_camera(camera):
    stopped = threading.Event()
    with LatestFrame(camera.frames(), stopped.is_set) as frames:
        camera.deliver(frame(index=0))
        camera.wait_until_asked()
        stopped.set()
        assert [each.index for each in frames] == [0]  # else it would raise after STUCK_TIMEOUT_SECONDS
        camera.deliver(END)


def test_a_suspended_process_has_no_stuck_camera(camera, monkeypatch):
    suspended, polls = threading.Event(), count()

    def monotonic():
        """Return a time that is a minute later at each poll."""
        poll = next(polls)
        if poll == 5:
            suspended.set()
        return 60.0 * poll

    monkeypatch.setattr(latest_frame, "time", SimpleNamespace(monotonic=monotonic))
    with LatestFrame(camera.frames()) as frames:
        reader, taken = take_in_thread(frames)
        assert suspended.wait(TIMEOUT_SECONDS)
        camera.deliver(frame(index=1))
        reader.join(TIMEOUT_SECONDS)
        assert taken == [1]
        camera.deliver(END)


def test_a_slow_loop_has_no_stuck_camera(camera, monkeypatch):
    monkeypatch.setattr(latest_frame, "STUCK_TIMEOUT_SECONDS", 0.5)
    now = [0.0]
    monkeypatch.setattr(latest_frame, "time", SimpleNamespace(monotonic=lambda: now[0]))
    with LatestFrame(camera.frames()) as frames:
        camera.deliver(frame(index=0))
        assert next(frames).index == 0
        now[0] = 100.0  # the loop was busy; its next poll comes before the next frame
        polled = threading.Event()

        def stopped():
            polled.set()
            return False

        frames._stopped = stopped
        reader, taken = take_in_thread(frames)
        assert polled.wait(TIMEOUT_SECONDS)
        camera.deliver(frame(index=1))
        reader.join(TIMEOUT_SECONDS)
        assert taken == [1]
        camera.deliver(END)


def endless(closed):
    """Yield frames without end, and set `closed` when the camera is closed."""
    try:
        for index in count():
            yield frame(index=index)
    finally:
        closed.set()


def test_leaving_ends_the_thread_and_closes_the_camera():
    closed, before = threading.Event(), threading.active_count()
    with LatestFrame(endless(closed)) as frames:
        next(frames)
    assert closed.wait(TIMEOUT_SECONDS)
    wait_until(lambda: threading.active_count() == before)


def test_leaving_by_an_error_closes_the_camera():
    closed, before = threading.Event(), threading.active_count()
    with pytest.raises(OSError, match="the disk is full"), LatestFrame(endless(closed)) as frames:  # noqa: PT012
        next(frames)
        raise OSError("the disk is full")
    assert closed.wait(TIMEOUT_SECONDS)
    wait_until(lambda: threading.active_count() == before)


def test_a_camera_that_cannot_be_closed_ends_its_thread_quietly():
    def fail_to_close():
        try:
            yield from endless(threading.Event())
        finally:
            raise OSError("no such device")

    before = threading.active_count()
    with LatestFrame(fail_to_close()) as frames:  # an exception that left the thread would fail this test
        assert next(frames).gray is not None
    wait_until(lambda: threading.active_count() == before)


def test_a_stuck_camera_does_not_keep_the_process(camera, monkeypatch):
    monkeypatch.setattr(latest_frame, "CLOSE_TIMEOUT_SECONDS", 0.05)
    begin = time.monotonic()
    with LatestFrame(camera.frames()):
        camera.wait_until_asked()
    assert time.monotonic() - begin < TIMEOUT_SECONDS / 2
    (thread,) = camera.threads
    assert thread.is_alive()
    assert thread.daemon
