"""Events and MJPEG for many, slow and lost clients."""

import asyncio
import gc
import statistics
import threading
import time
import weakref
from contextlib import ExitStack
from dataclasses import replace

import numpy as np
import pytest

from edge.types import FrameResult
from tests.support.fakes import face_result
from tests.support.kiosk import wait_until

pytest.importorskip("tornado", reason="pip install 'emotion-edge[web]'")

from edge.sinks.web import server, subscribers
from edge.sinks.web.authentication import Authenticator
from edge.sinks.web.context import WebContext
from edge.sinks.web.health import HealthMonitor
from edge.sinks.web.run_state import RunState
from edge.sinks.web.subscribers import SubscriberSet
from tests.support.web_client import TIMEOUT_SECONDS, next_event, next_image, nth_result, read_head, running_sink

# ---- images


class CountingImage:
    """The color image of a frame, uniform at `level`, that counts how often it is made."""

    def __init__(self, level: int) -> None:
        self.pixels = np.full((64, 96, 3), level, np.uint8)
        self.calls = 0

    def __call__(self):
        self.calls += 1
        return self.pixels


def result_with(color, index: int) -> FrameResult:
    result = nth_result(index)
    return replace(result, frame=replace(result.frame, color=color))


def test_image_is_neither_sent_nor_kept_without_the_option(client):
    result = nth_result(0, face_result())
    image = weakref.ref(result.frame.gray)
    client.sink.write(result)
    assert client.get("/api/stream.mjpg").status == 404
    del result
    gc.collect()
    assert image() is None


def test_images_are_sent_to_all_clients_and_made_only_for_them():
    dark, bright = CountingImage(50), CountingImage(200)
    with running_sink("0,image,fps=30") as client:
        client.sink.write(result_with(dark, 0))
        with client.stream("/api/stream.mjpg") as first, client.stream("/api/stream.mjpg") as second:
            assert read_head(first)[1]["Content-Type"] == "multipart/x-mixed-replace; boundary=image"
            assert next_image(first).shape == (64, 96, 3)
            wait_until(lambda: client.client_counts() == {"events": 0, "mjpeg": 2})
            client.sink.write(result_with(bright, 1))
            for content in (first, second):
                while next_image(content).mean() < 150:
                    pass
            assert bright.calls == 1
        wait_until(lambda: client.client_counts()["mjpeg"] == 0)
        unseen = CountingImage(90)
        for index in range(2, 6):
            client.sink.write(result_with(unseen, index))
            assert client.get("/api/result").status == 200
        assert unseen.calls == 0


class RecordingClients(SubscriberSet):
    """One client that is always ready; keeps what it was sent."""

    def __init__(self) -> None:
        super().__init__(0)
        self.sent: list[bytes] = []

    def __len__(self) -> int:
        return 1

    def send(self, message: bytes) -> None:
        self.sent.append(message)


def test_unchanged_image_is_sent_once():
    state, clients, image = RunState((), keep_image=True), RecordingClients(), CountingImage(50)
    context = WebContext(
        state, HealthMonitor(state, str), Authenticator(None), SubscriberSet(0), clients, image_fps=30, photos=None
    )

    async def publish_for_100_intervals():
        task = asyncio.create_task(server.publish_images(context, 0))
        state.record(result_with(image, 0), 1.0)
        while not clients.sent:
            await asyncio.sleep(0)
        for _ in range(100):
            await asyncio.sleep(0)
        task.cancel()

    asyncio.run(asyncio.wait_for(publish_for_100_intervals(), TIMEOUT_SECONDS))
    assert (len(clients.sent), image.calls) == (1, 1)


def test_large_image_is_downscaled():
    with running_sink("0,image,fps=30") as client:
        client.sink.write(nth_result(0, size=(1920, 1080)))
        with client.stream("/api/stream.mjpg") as content:
            assert next_image(content).shape == (540, 960, 3)


# ---- many and slow clients


def test_fifty_clients_are_served_and_the_next_one_is_refused(client):
    client.sink.write(nth_result(0, face_result()))
    with ExitStack() as stack:
        contents = [stack.enter_context(client.stream()) for _ in range(50)]
        for content in contents:
            assert next_event(content, "init")["faces"][0]["label"] == "calm"
        refused = client.get("/api/events")
        assert (refused.status, refused.headers["Retry-After"]) == (503, "10")
        client.sink.write(nth_result(1))
        for content in contents:
            while next_event(content, "result")["frame"] != 1:
                pass
    wait_until(lambda: client.client_counts()["events"] == 0)
    with client.stream() as content:
        assert read_head(content)[0] == 200


def test_stalled_client_is_dropped_and_the_others_go_on(monkeypatch):
    monkeypatch.setattr(subscribers, "STALLED_SECONDS", 0.3)
    noise = np.random.default_rng(0).integers(0, 255, (480, 640, 3), np.uint8)
    with (
        running_sink("0,image,fps=30") as client,
        client.stream("/api/stream.mjpg", buffer_bytes=4096),
        client.stream("/api/stream.mjpg") as good,
    ):
        for index in range(10_000):
            client.sink.write(result_with(lambda: noise, index))
            assert next_image(good).shape == (480, 640, 3)
            dropped = dict.fromkeys(("events", "mjpeg"), 0.0)
            dropped |= {
                labels["stream"]: count for labels, count in client.metrics()["emotion_edge_web_dropped_clients_total"]
            }
            if dropped == {"events": 0, "mjpeg": 1}:
                break
        else:
            raise AssertionError("it was not dropped")
        assert client.client_counts()["mjpeg"] == 1


def test_write_takes_less_than_a_fifth_of_a_millisecond():
    with running_sink("0,image") as client, client.stream(), client.stream("/api/stream.mjpg"):
        durations = []
        for index in range(500):
            result = nth_result(index, face_result(), face_result(track_id=2))
            start = time.thread_time()  # of the CPU: independent of other processes
            client.sink.write(result)
            durations.append(time.thread_time() - start)
    assert statistics.median(durations) < 0.2e-3


def test_stop_leaves_no_thread_with_clients_connected():
    with running_sink("0,image") as client, client.stream() as events, client.stream("/api/stream.mjpg"):
        next_event(events, "init")
        client.sink.write(nth_result(0))
        next_event(events, "result")
    wait_until(lambda: not any(thread.name.startswith("sink web") for thread in threading.enumerate()))
