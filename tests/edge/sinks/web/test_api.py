"""The API and the metrics, on a real port: results, events, health, errors."""

import logging
import socket
import time
from contextlib import suppress
from dataclasses import replace

import pytest

from edge.types import Box, InferenceStats, RunInfo, RunStats
from tests.support.fakes import face_result, frame_result

pytest.importorskip("tornado", reason="pip install 'emotion-edge[web]'")

from edge.sinks.web.run_state import RunState
from tests.support.web_client import TIMEOUT_SECONDS, next_event, nth_result, read_head, running_sink


def test_result_has_faces_and_health(client):
    result = frame_result(face_result(track_id=3, box=Box(1, 2, 30, 40)), time=1.23456789, index=7)
    client.sink.write(replace(result, stats=RunStats(frames=5, skipped=3, fps=29.97)))
    response = client.get("/api/result").json
    health = response.pop("health")
    assert response == {
        "time": 1.2346,
        "frame": 7,
        "faces": [
            {
                "track_id": 3,
                "box": [1, 2, 30, 40],
                "label": "calm",
                "since": 0.0,
                "age": 0.0,
                "confidence": 0.8,
                "probabilities": {"calm": 0.8, "cross": 0.2},
            }
        ],
    }
    assert (health["receiving_frames"], health["model"]) == (True, "tiny 1")
    assert (health["frames"], health["skipped"], health["process_fps"]) == (5, 3, 30.0)
    assert health["latency_ms"] >= 0
    assert health["resident_mb"] > 10
    assert health["uptime_seconds"] >= 0


def test_result_before_the_first_frame_is_empty(client):
    response = client.get("/api/result").json
    assert (response["time"], response["frame"], response["faces"]) == (None, None, [])
    health = response["health"]
    assert (health["receiving_frames"], health["last_frame_age_seconds"], health["latency_ms"]) == (False, None, None)


def test_events_start_with_init_and_follow_each_result(client):
    with client.stream() as content:
        status, headers = read_head(content)
        assert (status, headers["Content-Type"]) == (200, "text/event-stream; charset=utf-8")
        init = next_event(content, "init")
        assert (init["labels"], init["image"], init["photo"], init["token"]) == (["calm", "cross"], False, True, False)
        assert init["timeline"] == []
        for index in range(2):
            client.sink.write(nth_result(index, face_result("cross", 0.7)))
            event = next_event(content, "result")
            assert (event["frame"], event["faces"][0]["label"]) == (index, "cross")
        assert next_event(content, "health")["frames"] == 2


def test_events_have_each_second_of_the_timeline(client):
    client.sink.write(nth_result(0, face_result("cross", 0.75)))
    with client.stream() as content:
        point = next_event(content, "timeline")
    assert point == {"second": 0, "faces": 1.0, "probabilities": {"calm": 0.25, "cross": 0.75}}


def test_labels_of_any_language_are_unchanged():
    label = 'mü"de\\'
    face = replace(face_result(), probabilities={label: 1.0}, label=label)
    with running_sink("0", RunInfo(True, (label,), lambda: "größe")) as client:
        client.sink.write(nth_result(0, face))
        assert client.get("/api/result").json["faces"][0]["probabilities"] == {label: 1.0}
        metrics = client.metrics()
        assert metrics["emotion_edge_probability"] == [({"label": label}, 1.0)]
        assert metrics["emotion_edge_build_info"][0][0]["model"] == "größe"


def test_healthz_fails_without_frames_and_needs_no_token(guarded, monkeypatch):
    assert guarded.get("/healthz").status == 503
    guarded.sink.write(nth_result(0))
    response = guarded.get("/healthz")
    assert response.status == guarded.request("HEAD", "/healthz").status == 200
    assert set(response.json) == {"receiving_frames", "last_frame_age_seconds"}, "nothing else without a token"
    monkeypatch.setattr("edge.sinks.web.run_state.STALE_SECONDS", 0.0)
    assert guarded.get("/healthz").status == 503


def test_metrics_are_in_the_text_format_of_prometheus(client):
    for index in (0, 1, 5):
        timings = {"detect": 0.004, "classify": 0.0007 if index else 1e-6}
        inference = InferenceStats(classified=index + 1, recent=2, unchanged=index, waiting=1)
        stats = RunStats(frames=min(index, 2) + 1, skipped=3 if index == 5 else 0, fps=12.5, inference=inference)
        result = frame_result(face_result("cross", 0.75, age=index / 10), time=index / 30, index=index)
        client.sink.write(replace(result, timings=timings, stats=stats))
    metrics = client.metrics()
    assert metrics["emotion_edge_frames_total"] == [({}, 3)]
    assert metrics["emotion_edge_skipped_frames_total"] == [({}, 3)]
    assert metrics["emotion_edge_faces"] == [({}, 1)]
    assert metrics["emotion_edge_probability"] == [({"label": "calm"}, 0.25), ({"label": "cross"}, 0.75)]
    assert metrics["emotion_edge_detection_duration_seconds_sum"] == [({}, pytest.approx(0.012))]
    buckets = {labels["le"]: count for labels, count in metrics["emotion_edge_detection_duration_seconds_bucket"]}
    assert (buckets["0.0025"], buckets["0.005"], buckets["+Inf"]) == (0, 3, 3)
    inferences = metrics["emotion_edge_inference_duration_seconds_count"]
    assert inferences == [({}, 2)], "a frame in which no face was due is not counted"
    assert metrics["emotion_edge_inferences_total"] == [({}, 6)]
    skipped_inferences = [({"reason": "recent"}, 2), ({"reason": "unchanged"}, 5), ({"reason": "waiting"}, 1)]
    assert metrics["emotion_edge_skipped_inferences_total"] == skipped_inferences
    assert metrics["emotion_edge_result_age_seconds"] == [({}, 0.5)]
    assert metrics["emotion_edge_latency_seconds_count"] == [({}, 3)]
    assert metrics["emotion_edge_last_frame_age_seconds"][0][1] >= 0
    assert metrics["emotion_edge_build_info"][0][0]["model"] == "tiny 1"
    skipped, processed = metrics["emotion_edge_skipped_fps"][0][1], metrics["emotion_edge_process_fps"][0][1]
    assert processed == 12.5
    assert metrics["emotion_edge_camera_fps"][0][1] == pytest.approx(skipped + processed)
    assert metrics["process_resident_memory_bytes"][0][1] > 10e6
    assert metrics["process_start_time_seconds"][0][1] > 0


def test_metrics_count_the_faces_of_all_frames(client):
    for index, label in enumerate(("cross", None, "cross")):
        client.sink.write(nth_result(index, face_result(label)))
    metrics = client.metrics()
    assert metrics["emotion_edge_labeled_faces_total"] == [({"label": "calm"}, 0), ({"label": "cross"}, 2)]
    assert metrics["emotion_edge_uncertain_faces_total"] == [({}, 1)]
    assert metrics["emotion_edge_face_width_pixels_sum"] == [({}, 3 * face_result().box.width)]
    assert metrics["emotion_edge_face_brightness_ratio_count"] == [({}, 3)]


def test_metrics_have_the_clock_and_the_free_disk(client, monkeypatch):
    monkeypatch.setattr("edge.system.machine.disk_free_mb", lambda _: 512.5)
    before = time.time()
    metrics = client.metrics()
    assert metrics["emotion_edge_disk_free_bytes"] == [({}, 512.5e6)]
    assert before <= metrics["emotion_edge_time_seconds"][0][1] <= time.time()


def test_metrics_of_the_board_are_left_out_if_unavailable(client, monkeypatch):
    monkeypatch.setattr("edge.system.machine.cpu_temperature", lambda: None)
    monkeypatch.setattr("edge.system.machine.throttling", lambda: None)
    names = client.metrics().keys()
    assert not {"emotion_edge_cpu_temperature_celsius", "emotion_edge_throttled"} & names
    assert "emotion_edge_last_frame_age_seconds" not in names


def test_metrics_of_the_board_have_each_reason(client, monkeypatch):
    monkeypatch.setattr("edge.system.machine.cpu_temperature", lambda: 51.5)
    throttling = {"now": ["throttled"], "since_boot": ["throttled"]}
    monkeypatch.setattr("edge.system.machine.throttling", lambda: throttling)
    metrics = client.metrics()
    assert metrics["emotion_edge_cpu_temperature_celsius"] == [({}, 51.5)]
    throttled = {labels["reason"]: value for labels, value in metrics["emotion_edge_throttled"]}
    assert throttled["throttled"] == 1
    assert throttled["under-voltage"] == 0


def test_metrics_are_in_openmetrics_if_asked_for(client):
    response = client.get("/metrics", Accept="application/openmetrics-text; version=1.0.0")
    assert response.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert response.body.endswith(b"# EOF\n")


@pytest.mark.parametrize("version", ["x", "1.x", "9" * 5000])
def test_metrics_are_text_if_the_asked_version_is_no_number(client, version):
    response = client.get("/metrics", Accept=f"application/openmetrics-text; version={version}")
    assert response.status == 200
    assert response.headers["Content-Type"].startswith("text/plain")


def test_internal_error_is_one_line_and_the_server_goes_on(client, monkeypatch, caplog):
    monkeypatch.setattr(RunState, "timeline", None)
    assert client.get("/api/events").status == 500
    assert client.get("/healthz").status == 503
    (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert "GET /api/events: TypeError" in record.getMessage()
    assert record.exc_info is None


def test_malformed_requests_are_rejected_and_not_logged(client, capfd, caplog):
    for garbage in (b"\0\xff\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n"):
        with socket.create_connection((client.host, client.port), TIMEOUT_SECONDS) as connection, suppress(OSError):
            connection.sendall(garbage)
            connection.shutdown(socket.SHUT_WR)
            connection.recv(4096)
    assert client.get("/healthz").status == 503
    assert "Traceback" not in capfd.readouterr().err
    logging.getLogger("tornado.general").warning("as Tornado logs for a client that has gone")
    assert not caplog.records


def test_body_of_a_form_is_limited(client):
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Content-Length": "10006"}
    assert client.request("POST", "/login", headers=headers).status == 400  # before the body is sent
