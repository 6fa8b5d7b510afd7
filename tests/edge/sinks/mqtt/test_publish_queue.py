"""What is published and when, with a fake clock and without a broker."""

import json
from dataclasses import replace

import pytest

pytest.importorskip("paho.mqtt.enums", reason="paho-mqtt 2 is not installed: pip install 'emotion-edge[mqtt]'")

from edge.errors import SinkError
from edge.sinks.mqtt.options import parse
from edge.sinks.mqtt.publish_queue import MAX_CHANGES, PublishQueue
from edge.types import RunStats
from tests.support.broker import FILES_RUN, LIVE_RUN, change
from tests.support.fakes import FakeClock, face_result, frame_result


def make_queue(options="", run=LIVE_RUN, **clocks):
    clocks.setdefault("read_temperature", lambda: None)
    return PublishQueue(parse(f"nas{options}"), run, **clocks)


def take_all(queue, topic=""):
    messages = list(iter(queue.next_message, None))
    return [json.loads(message.payload) for message in messages if message.topic.endswith(topic)]


def test_samples_come_at_the_rate_and_changes_at_once():
    queue = make_queue(",rate=2")

    def add(time, label="calm"):
        return queue.add(frame_result(face_result(label), time=time))

    published = [index / 30 for index in range(90) if add(index / 30)]
    assert published == pytest.approx([0, 0.5, 1, 1.5, 2, 2.5], abs=0.04)
    assert add(3.1)
    assert add(3.11, "cross")
    assert not add(3.5, "cross")


def test_no_samples_at_rate_0():
    queue = make_queue(",rate=0")
    assert [queue.add(frame_result(face_result(), time=time)) for time in (0, 1, 2)] == [True, False, False]


def test_no_samples_without_a_face():
    queue = make_queue()
    assert [queue.add(frame_result(time=time)) for time in (0, 1, 2)] == [True, False, False]


def test_face_missed_for_less_than_a_second_is_no_change():
    queue = make_queue(",rate=0")
    present = [face == "x" for face in "x  x    "]
    changed = [
        queue.add(frame_result(*[face_result()][:is_present], time=0.3 * index))
        for index, is_present in enumerate(present)
    ]
    assert changed == [True, False, False, False, False, False, False, True]


def test_state_label_is_of_the_oldest_face_with_a_label():
    queue = make_queue()
    queue.add(frame_result(face_result("cross", 0.99, 7), face_result("calm", 0.6, 5), face_result(None, 0.5, 2)))
    assert take_all(queue, "/state")[-1]["label"] == "calm"


def test_time_of_a_label_is_constant_if_frames_arrive_late():
    clock = FakeClock()
    queue = make_queue(",rate=30", clock=clock, wall_clock=lambda: 1e9 + clock())
    times = set()
    for index in range(6):
        clock.now = index / 2 + 0.2
        result = frame_result(face_result(), time=index / 2, index=index)
        late = replace(result.frame, captured_at=index / 2 + index % 2 * 0.05)
        queue.add(replace(result, frame=late))
        times |= {results["faces"][0]["since"] for results in take_all(queue)}
    assert times == {"2001-09-09T01:46:40.000Z"}


def test_times_follow_when_the_system_clock_is_set():
    offset = [0.0]
    queue = make_queue(",rate=30", clock=lambda: 100.0, wall_clock=lambda: 1e9 + offset[0])
    queue.add(frame_result(face_result(), time=5))
    offset[0] = 3600
    queue.add(frame_result(face_result("cross"), time=5))
    assert take_all(queue, "/results")[1]["time"] == "2001-09-09T02:46:40.000Z"


def test_no_face_is_present_after_30_seconds_without_a_frame():
    clock = FakeClock()
    queue = make_queue(clock=clock)
    queue.add(replace(change(1), stats=RunStats(fps=9.0)))
    take_all(queue)
    clock.now = 29
    queue.queue_due()
    assert take_all(queue) == []
    clock.now = 31
    queue.queue_due()
    results, state = take_all(queue)
    assert (results["faces"], state["present"], state["fps"]) == ([], False, 0.0)


def test_state_is_repeated_with_figures_and_temperature():
    clock, temperatures = FakeClock(), iter([41.5, 42.5, 43.5, 44.5])
    queue = make_queue(",rate=0", clock=clock, read_temperature=lambda: next(temperatures))
    queue.announce()
    states = []
    for tick in range(700):  # 70 s of ten frames each
        clock.now = tick / 10
        if tick < 600:
            queue.add(replace(frame_result(), stats=RunStats(tick + 1, tick, fps=tick / 100)))
        queue.queue_due()
        states += [(clock.now, state) for state in take_all(queue, "/state")]
    assert [time for time, _ in states] == pytest.approx([0, 5, 35, 65], abs=0.2)
    assert [state["fps"] for _, state in states] == pytest.approx([0, 0.5, 3.5, 6.0], abs=0.1)
    assert [state["temperature"] for _, state in states] == [41.5, 42.5, 43.5, 44.5]
    assert states[-1][1]["skipped"] == 599


def test_metrics_come_with_the_regular_states_only():
    clock = FakeClock()
    queue = make_queue(",rate=0", clock=clock, read_temperature=lambda: 48.5)
    queue.announce()
    published = []
    for tick in range(400):  # 40 s; the label changes in each frame
        clock.now = tick / 10
        queue.add(frame_result(face_result(("calm", "cross", None)[tick % 3]), index=tick, time=clock.now))
        queue.queue_due()
        published += [(clock.now, metrics) for metrics in take_all(queue, "/metrics")]
    metrics = published[-1][1]
    assert [time for time, _ in published] == pytest.approx([0, 5, 35], abs=0.2)
    assert metrics["labeled_faces_total"] == {"calm": 117, "cross": 117}
    assert metrics["uncertain_faces_total"] == 117
    assert metrics["face_width_pixels_count"] == metrics["face_brightness_ratio_count"] == 351
    assert metrics["face_width_pixels_sum"] == 351 * face_result().box.width
    assert metrics["cpu_temperature_celsius"] == 48.5


def test_live_run_drops_the_oldest_changes_and_counts_them():
    queue = make_queue()
    for number in range(1, MAX_CHANGES + 4):
        queue.add(change(number))
    assert queue.waiting_changes == MAX_CHANGES
    assert queue.lost_changes == MAX_CHANGES + 3
    messages = take_all(queue)
    assert messages[0]["faces"][0]["track_id"] == 4
    assert messages[-1]["dropped"] == 3


def test_requeued_changes_come_first_and_in_their_order():
    queue = make_queue(",rate=0")
    for number in range(1, 4):
        queue.add(change(number))
    messages = [queue.next_message() for _ in range(2)]
    queue.requeue(messages)
    assert [results["faces"][0]["track_id"] for results in take_all(queue, "/results")] == [1, 2, 3]


def test_run_of_files_waits_for_room_but_not_forever():
    queue = make_queue(run=FILES_RUN, max_wait_seconds=0.05)
    for number in range(MAX_CHANGES):
        queue.add(change(number))
    with pytest.raises(SinkError, match=r"nas:1883: .* 0\.05 s"):
        queue.add(change(MAX_CHANGES))
