"""Of a live camera the newest frame is given, its end and its errors arrive, and nothing of it outlives the run."""

import threading
import time
from itertools import count

import pytest

from edge.capture import latest_frame as module
from edge.capture.latest_frame import LatestFrame
from edge.errors import CameraError
from tests.support.fakes import frame

SOON = 5.0  # seconds that no test should need to wait
OVER = object()  # told to a Camera: no more frames


class Camera:
    """Delivers what the test tells it to, when it tells it to, from the thread that asks."""

    def __init__(self):
        self.asked, self.told = threading.Semaphore(0), threading.Semaphore(0)
        self.next, self.closed, self.threads = None, threading.Event(), set()

    def frames(self):
        try:
            while True:
                self.threads.add(threading.current_thread())
                self.asked.release()
                assert self.told.acquire(timeout=SOON)
                if self.next is OVER:
                    return
                if isinstance(self.next, BaseException):
                    raise self.next
                yield self.next
        finally:
            self.closed.set()

    def deliver(self, what):
        """Let the thread that waits for the next frame have it."""
        assert self.asked.acquire(timeout=SOON)
        self.next = what
        self.told.release()

    def delivered(self):
        """Wait until the thread comes for another frame, so that the one before was taken."""
        assert self.asked.acquire(timeout=SOON)
        self.asked.release()


@pytest.fixture
def camera():
    camera = Camera()
    yield camera
    camera.next = OVER  # let go of a thread that still waits
    camera.told.release()
    for thread in camera.threads:
        thread.join(SOON)
        assert not thread.is_alive()


def test_every_frame_is_given_to_a_quick_reader(camera):
    with LatestFrame(camera.frames()) as frames:
        for index in range(5):
            camera.deliver(frame(index=index))
            assert next(frames).index == index
        camera.deliver(OVER)
        assert next(frames, None) is None
        assert next(frames, None) is None
        assert frames.taken == 5


def test_a_slow_reader_gets_the_newest_frame_and_the_others_show_as_a_gap(camera):
    with LatestFrame(camera.frames()) as frames:
        camera.deliver(frame(index=0))
        assert next(frames).index == 0
        for index in (1, 2, 3):
            camera.deliver(frame(index=index))
        camera.delivered()
        assert next(frames).index == 3
        assert frames.taken == 4
        camera.deliver(frame(index=4))
        assert next(frames).index == 4
        camera.deliver(OVER)


def test_the_camera_is_read_in_a_thread_of_its_own_which_begins_with_the_run(camera):
    frames = LatestFrame(camera.frames())
    assert not camera.threads
    with frames:
        camera.deliver(frame())
        next(frames)
        assert threading.current_thread() not in camera.threads
        camera.deliver(OVER)


def test_a_reader_waits_for_a_frame_that_was_not_there_yet(camera):
    with LatestFrame(camera.frames()) as frames:
        taken = []
        reader = threading.Thread(target=lambda: taken.append(next(frames).index))
        reader.start()
        camera.delivered()
        assert taken == []
        camera.deliver(frame(index=7))
        reader.join(SOON)
        assert taken == [7]
        camera.deliver(OVER)


def test_the_last_frame_comes_before_the_end(camera):
    with LatestFrame(camera.frames()) as frames:
        camera.deliver(frame(index=3))
        camera.deliver(OVER)
        assert camera.closed.wait(SOON)
        assert [taken.index for taken in frames] == [3]


def test_an_error_of_the_camera_reaches_the_loop_after_the_frames_before_it(camera):
    with LatestFrame(camera.frames()) as frames:
        camera.deliver(frame(index=0))
        camera.deliver(CameraError("the cable is off"))
        assert camera.closed.wait(SOON)
        assert next(frames).index == 0
        for _ in range(2):
            with pytest.raises(CameraError, match="the cable is off"):
                next(frames)


def test_a_camera_that_cannot_be_opened_is_an_error_of_the_first_frame():
    def nothing():
        raise CameraError("no such camera")
        yield frame()

    with LatestFrame(nothing()) as frames, pytest.raises(CameraError, match="no such camera"):
        next(frames)


def test_stop_ends_the_wait_for_a_silent_camera_within_a_second(camera):
    stopped = threading.Event()
    with LatestFrame(camera.frames(), stopped.is_set) as frames:
        camera.deliver(frame(index=0))
        camera.delivered()
        stopped.set()
        begin = time.monotonic()
        assert [taken.index for taken in frames] == [0]
        assert time.monotonic() - begin < 1
        camera.deliver(OVER)


def endless(closed):
    """Yield frames for ever, and set `closed` when the camera is given back."""
    try:
        for index in count():
            yield frame(index=index)
    finally:
        closed.set()


def test_leaving_joins_the_thread_and_closes_the_camera():
    closed, before = threading.Event(), threading.active_count()
    with LatestFrame(endless(closed)) as frames:
        next(frames)
    assert closed.is_set()
    assert threading.active_count() == before


def test_leaving_by_an_error_closes_the_camera_too():
    def fail(frames):
        with frames:
            next(frames)
            raise OSError("the disk is full")

    closed, before = threading.Event(), threading.active_count()
    with pytest.raises(OSError, match="the disk is full"):
        fail(LatestFrame(endless(closed)))
    assert closed.is_set()
    assert threading.active_count() == before


def test_a_camera_that_hangs_is_left_behind_after_a_moment_and_does_not_keep_the_process(camera, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 0.05)
    begin = time.monotonic()
    with LatestFrame(camera.frames()):
        camera.delivered()
    assert time.monotonic() - begin < 1
    (thread,) = camera.threads
    assert thread.is_alive()
    assert thread.daemon
