"""The recorder measures the frames after the warm-up, by stage, without its own time."""

from itertools import islice

import pytest

from edge.capture import registry as cameras
from edge.diagnostics.latency import Reservoir
from edge.diagnostics.stage_recorder import WARM_UP_FRAMES, RepeatedSource, StageRecorder, find_bottleneck
from edge.errors import EmotionEdgeError
from edge.system import process
from tests.support.benchmark_reports import BenchmarkClock, SlowSink, make_recorder, record_frame, record_warm_up
from tests.support.fakes import frame


@pytest.fixture
def clock(monkeypatch):
    return BenchmarkClock(monkeypatch)


@pytest.mark.parametrize(("waited", "bound_by"), [(6.0, "camera"), (4.0, "compute")])
def test_the_bottleneck_is_the_camera_when_most_time_is_waiting(waited, bound_by):
    bottleneck = find_bottleneck({"capture": waited, "detect": 1.0, "classify": 3.0}, 10.0)
    assert (bottleneck.bound_by, bottleneck.slowest_stage) == (bound_by, "classify")


def test_only_the_frames_after_the_warm_up_are_measured(clock):
    warm_up, loop, usage = make_recorder(clock, frames=100).result(live=True)
    assert (warm_up.frames, loop.frames, loop.faces_per_frame) == (WARM_UP_FRAMES, 100, 1.0)
    assert loop.seconds == pytest.approx(10.0)  # 60 ms capture, 20 detect, 10 classify, 5 smooth, 5 sinks
    assert (loop.fps, loop.source_fps) == (pytest.approx(10), pytest.approx(10))
    assert loop.stages_ms["sinks"].p90 == pytest.approx(5)
    assert loop.stages_ms["total"].p50 == pytest.approx(40)
    assert loop.stages_ms["capture"].p99 == pytest.approx(60)
    assert loop.stage_fractions["detect"] == pytest.approx(0.2)
    assert loop.overhead == pytest.approx(0.25)  # 10 of the 40 busy ms
    assert loop.end_to_end_ms
    assert loop.end_to_end_ms.p99 == pytest.approx(15)
    assert (loop.bottleneck.bound_by, loop.bottleneck.slowest_stage) == ("camera", "detect")
    assert usage.cpu_percent == pytest.approx(25)


def test_the_recorders_own_time_is_no_overhead_of_the_loop(clock, monkeypatch):
    recorder = make_recorder(clock, frames=1)
    add = Reservoir.add

    def add_slowly(reservoir, row):
        clock.now += 0.5
        add(reservoir, row)

    monkeypatch.setattr(Reservoir, "add", add_slowly)
    for index in range(50):
        record_frame(clock, recorder, 1000 + index)
    assert recorder.result(live=True)[1].overhead == pytest.approx(0.25)


def test_rare_slow_frames_show_in_the_99th_percentile_alone(clock):
    recorder = make_recorder(clock, frames=95)
    for number in range(5):
        record_frame(clock, recorder, 1000 + number, detect=0.2)
    stats = recorder.result(live=True)[1].stages_ms["detect"]
    assert (stats.p50, stats.p90, stats.p99) == pytest.approx((20, 20, 200))
    assert stats.mean == pytest.approx(29)


def test_skipped_frames_count_for_the_camera_and_not_the_loop(clock):
    loop = make_recorder(clock, frames=100, step=3).result(live=True)[1]
    assert (loop.frames, loop.skipped) == (100, 200)
    assert (loop.fps, loop.skipped_fps, loop.source_fps) == pytest.approx((10, 20, 30))


def test_inferences_are_counted_after_the_warm_up(clock):
    inference = make_recorder(clock, frames=90).result(live=True)[1].inference
    assert inference
    assert (inference.per_second, inference.per_face_second) == pytest.approx((10 / 3, 10 / 3))  # at 10 fps
    fractions = (inference.classified, inference.recent, inference.unchanged, inference.waiting)
    assert fractions == pytest.approx((1 / 3, 0, 2 / 3, 0))
    assert (inference.age_ms.mean, inference.age_ms.p50, inference.age_ms.p99) == pytest.approx((100, 100, 200))


def test_rate_of_inferences_per_face_counts_all_faces(clock):
    recorder = StageRecorder(SlowSink(clock), 600)
    for number in range(WARM_UP_FRAMES + 10):
        counts = {"classified": number, "recent": number, "waiting": 2 * number}
        capture = 5.0 if number < WARM_UP_FRAMES else 0.06
        record_frame(clock, recorder, number, capture=capture, faces=4, **counts)
    inference = recorder.result(live=True)[1].inference
    assert inference
    assert (inference.per_second, inference.per_face_second) == pytest.approx((10, 2.5))
    assert (inference.classified, inference.recent, inference.waiting) == pytest.approx((0.25, 0.25, 0.5))


def test_images_and_empty_rooms_have_no_inference_result(clock):
    recorder = StageRecorder(SlowSink(clock), 600)
    record_warm_up(clock, recorder)
    record_frame(clock, recorder, WARM_UP_FRAMES - 1, faces=0)
    assert recorder.result(live=True)[1].inference is None


def test_a_source_that_waits_has_no_rate_and_no_end_to_end_time(clock):
    loop = make_recorder(clock).result(live=False)[1]
    assert (loop.source_fps, loop.end_to_end_ms) == (None, None)


def test_the_warm_up_takes_two_seconds_and_thirty_frames(clock):
    for capture, frames in ((1.0, WARM_UP_FRAMES), (0.0, 51)):  # of 40 ms each: 2 s have passed after 50 more
        recorder = StageRecorder(SlowSink(clock), 600)
        for index in range(60):
            record_frame(clock, recorder, index, capture=capture)
        assert recorder.result(live=True)[0].frames == frames


def test_the_duration_counts_from_the_end_of_the_warm_up(clock):
    recorder = StageRecorder(SlowSink(clock), 1.0)
    for index in range(WARM_UP_FRAMES):
        record_frame(clock, recorder, index, capture=0.96)
        assert not recorder.is_done()
    record_frame(clock, recorder, 100, capture=0.9)
    assert not recorder.is_done()
    record_frame(clock, recorder, 101)
    assert recorder.is_done()


def test_the_start_is_reported_with_the_first_measured_frame(clock):
    frames, started_at = 0, []
    recorder = StageRecorder(SlowSink(clock), 600, on_start=lambda: started_at.append(frames))
    for frames in range(1, WARM_UP_FRAMES + 6):
        record_frame(clock, recorder, frames, capture=1.0)
    assert started_at == [WARM_UP_FRAMES + 1]


def test_a_run_that_ends_in_the_warm_up_is_an_error(clock):
    recorder = StageRecorder(SlowSink(clock), 600)
    record_frame(clock, recorder, 0)
    with pytest.raises(EmotionEdgeError, match="warm-up, after 1 frames"):
        recorder.result(live=True)


def test_the_growth_of_memory_counts_from_the_end_of_the_warm_up(clock, monkeypatch):
    sizes = iter((100.0, 107.5))
    monkeypatch.setattr(process, "resident_mb", lambda: next(sizes))
    monkeypatch.setattr(process, "peak_resident_mb", lambda: 120.0)
    usage = make_recorder(clock).result(live=True)[2]
    assert (usage.resident_mb, usage.peak_mb, usage.growth_mb) == (107.5, 120.0, 7.5)


def test_the_first_result_is_timed_from_the_start_of_the_process(clock, monkeypatch):
    ages = iter((4.5, 9.9))
    monkeypatch.setattr(process, "seconds_since_start", lambda: next(ages))
    recorder = StageRecorder(SlowSink(clock), 600)
    for index in range(WARM_UP_FRAMES + 1):
        record_frame(clock, recorder, index, capture=1.0, faces=int(index > 2))
    assert recorder.result(live=True)[0].first_result_seconds == 4.5


def test_the_size_of_the_frames_is_known_after_the_first_one(clock):
    recorder = StageRecorder(SlowSink(clock), 600)
    record_warm_up(clock, recorder)
    assert recorder.frame_size == (96, 64)


def test_a_repeated_source_continues_times_and_indices(monkeypatch):
    def three_frames(_):
        yield from (frame(time, index) for time, index in ((0.0, 0), (0.25, 1), (0.5, 3)))

    monkeypatch.setattr(cameras, "frames", three_frames)
    source = RepeatedSource("clip.mp4")
    found = [(each.time, each.index) for each in islice(source.frames(), 7)]
    assert found == [(0.0, 0), (0.25, 1), (0.5, 3), (0.75, 4), (1.0, 5), (1.25, 7), (1.5, 8)]
    assert source.passes == 3


def test_a_single_image_is_repeated_once_per_second(portrait_file):
    frames = islice(RepeatedSource(str(portrait_file)).frames(), 3)
    found = [(each.time, each.index, each.source_name) for each in frames]
    assert found == [(0.0, 0, "portrait.png"), (1.0, 1, "portrait.png"), (2.0, 2, "portrait.png")]
