"""The page's server as a browser, a monitor and a stranger meet it: a real one, on a real port."""

import errno
import gc
import http.client
import io
import json
import logging
import re
import socket
import statistics
import struct
import subprocess
import sys
import threading
import time
import weakref
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import cv2
import numpy as np
import pytest
from PIL import Image

from edge.errors import SettingsError, SinkError, UsageError
from edge.sinks import registry as sinks
from edge.types import Box, RunInfo
from tests.support import kiosk
from tests.support.commands import EDGE, open_descriptors, run_edge
from tests.support.fakes import face_result, frame_result
from tests.support.images import PORTRAIT_FACE
from tests.support.kiosk import until

pytest.importorskip("tornado", reason="pip install 'emotion-edge[web]'")

from edge.sinks.web import Sink, access, handlers, photo, server
from edge.sinks.web import subscribers as viewers
from edge.sinks.web.access import Access, Rate, find_token
from edge.sinks.web.run_state import HISTORY, Watch

TOKEN = "correct-horse-battery"
RUN = RunInfo(live=True, labels=("calm", "cross"), model="tiny 1")
PATIENCE = 30.0


class Answer(NamedTuple):
    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Site:
    """A sink that serves, and a way to ask it."""

    def __init__(self, sink: Sink) -> None:
        self.sink, self.host, self.port = sink, sink.address.host, sink.address.port

    def ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
        way = http.client.HTTPConnection(self.host, self.port, timeout=PATIENCE)
        try:
            way.request(method, path, body, headers or {})
            answer = way.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            way.close()

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})

    def post_photo(self, content: bytes, kind: str = "image/jpeg", **headers: str) -> Answer:
        return self.ask("POST", "/api/photo", content, {"Content-Type": kind, **headers})

    @contextmanager
    def viewer(self, path: str = "/api/events", buffer: int = 0, **headers: str):
        """Give what comes from an answer that does not end, as a file."""
        with socket.socket() as way:
            if buffer:
                way.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
            way.settimeout(PATIENCE)
            way.connect((self.host, self.port))
            lines = [f"GET {path} HTTP/1.1", f"Host: {self.host}", *(f"{k}: {v}" for k, v in headers.items()), "", ""]
            way.sendall("\r\n".join(lines).encode())
            with way.makefile("rb") as content:
                yield content


@contextmanager
def serving(argument: str = "0", run: RunInfo = RUN):
    with Sink(argument, run) as sink:
        yield Site(sink)


def head_of(content) -> tuple[int, dict[str, str]]:
    """Return status and header fields at the start of an answer that does not end."""
    status = int(content.readline().split()[1])
    fields = iter(lambda: content.readline().decode().strip(), "")
    return status, dict(field.split(": ", 1) for field in fields)


def next_event(content, name: str) -> Any:
    """Return the data of the next event of that name."""
    while True:
        line = content.readline()
        assert line, "the stream has ended"
        if line == f"event: {name}\n".encode():
            return json.loads(content.readline().removeprefix(b"data: "))


def jpeg(image) -> bytes:
    return cv2.imencode(".jpg", image)[1].tobytes()


@pytest.fixture
def site():
    with serving() as site:
        yield site


@pytest.fixture
def guarded(monkeypatch):
    monkeypatch.setenv("EMOTION_EDGE_WEB_TOKEN", TOKEN)
    with serving() as site:
        yield site


# --- What may be asked for ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("localhost:99999", "'localhost:99999' is no address, expected PORT, HOST:PORT"),
        ("localhost:http", "no address"),
        (":8080", "no address"),
        ("::1", "no address"),
        ("8080,images", "no option 'images'; did you mean image?"),
        ("fps=3", "fps is of the camera's image"),
        ("image,fps=100", "fps is '100', expected a number from 0.1 to 30"),
        ("0.0.0.0,insecure,token-file=x", "both token-file and insecure"),
        ("image=yes", "switch"),
    ],
)
def test_a_wrong_argument_is_told_when_the_sink_is_made(argument, words):
    with pytest.raises(UsageError, match="sink web: ") as told:
        Sink(argument)
    assert words in str(told.value)


@pytest.mark.parametrize(
    ("argument", "address"),
    [
        ("", "127.0.0.1:8080"),
        ("9000", "127.0.0.1:9000"),
        ("image", "127.0.0.1:8080"),
        ("localhost", "localhost:8080"),
        ("0.0.0.0:81", "0.0.0.0:81"),
        ("[::1]:81", "[::1]:81"),
        ("[::]", "[::]:8080"),
    ],
)
def test_an_address_is_a_port_a_host_or_both(argument, address):
    assert str(Sink(argument).address) == address


def test_making_a_sink_opens_nothing_and_reads_no_token():
    before = open_descriptors(), threading.active_count()
    Sink("0.0.0.0,token-file=/there/is/none")
    assert (open_descriptors(), threading.active_count()) == before


def test_a_port_that_is_taken_is_one_line(site):
    result = run_edge("run", "synthetic", "-s", f"web:{site.port}", "--duration", 1)
    assert result.returncode == 1
    assert result.stderr == (
        f"edge: error: web: cannot listen on 127.0.0.1:{site.port} (address already in use); "
        "name an address of this device, and a port that is free\n"
    )


def test_an_address_that_this_device_does_not_have_is_one_line(monkeypatch):
    monkeypatch.setenv("EMOTION_EDGE_WEB_TOKEN", TOKEN)
    with pytest.raises(SinkError, match=r"cannot listen on 192\.0\.2\.7:0 \(cannot assign requested address"):
        Sink("192.0.2.7:0").__enter__()


def test_a_service_without_network_is_told_what_it_needs(monkeypatch):
    def closed(*_, **__):
        raise OSError(errno.EAFNOSUPPORT, "as RestrictAddressFamilies= of the unit has it")

    monkeypatch.setattr(socket, "create_server", closed)
    with pytest.raises(
        SinkError, match=r"\(address family not supported by protocol\); a service needs systemd/network"
    ):
        Sink("0").__enter__()


def test_without_tornado_a_line_says_what_to_install():
    program = "import sys; sys.modules['tornado.iostream'] = None\nfrom edge import sinks; sinks.make('web')"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False).stderr
    assert said.splitlines()[-1].endswith("UsageError: sink web needs tornado: pip install 'emotion-edge[web]'")


# --- Who is let in --------------------------------------------------------------------------------------------------


def test_an_address_that_others_reach_is_refused_without_a_token():
    with pytest.raises(
        UsageError, match=r"0\.0\.0\.0:0 can be reached from outside; give a token .* or the switch ins"
    ):
        Sink("0.0.0.0:0").__enter__()


def test_insecure_lets_anybody_in_and_says_so_once(capfd):
    with serving("0.0.0.0:0,insecure,image") as site:
        assert site.get("/api/reading").status == 200
    lines = capfd.readouterr().err.splitlines()
    assert re.fullmatch(r"web: http://[\w.]+:\d+/", lines[0])
    assert "0.0.0.0" not in lines[0]
    assert lines[1:] == ["edge: web: insecure: anybody in the network can see the camera's image"]


@pytest.mark.parametrize("path", ["/api/reading", "/api/events", "/api/image", "/metrics"])
def test_with_a_token_nothing_is_told_to_who_does_not_have_it(guarded, path):
    for headers in (
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Cookie": "emotion-edge=1.x"},
    ):
        answer = guarded.get(path, **headers)
        assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")


def test_a_photo_is_not_read_for_who_has_no_token(guarded, portrait):
    assert guarded.post_photo(jpeg(portrait)).status == 401


def test_the_token_opens_the_interface(guarded):
    assert guarded.get("/api/reading", Authorization=f"Bearer {TOKEN}").status == 200


def test_the_page_leads_to_the_login_whose_cookie_opens_everything(guarded):
    answer = guarded.get("/")
    assert (answer.status, answer.headers["Location"]) == (303, "/login")
    assert b'name="token"' in guarded.get("/login").body
    wrong = log_in(guarded, "wrong")
    assert (wrong.status, wrong.headers["Location"], wrong.headers["Set-Cookie"]) == (303, "/login#wrong", None)
    right = log_in(guarded, TOKEN)
    assert (right.status, right.headers["Location"]) == (303, "/")
    cookie, *attributes = right.headers["Set-Cookie"].split("; ")
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(attributes)
    assert TOKEN not in cookie
    assert guarded.get("/", Cookie=cookie).status == guarded.get("/api/reading", Cookie=cookie).status == 200


def log_in(site: Site, token: str) -> Answer:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    return site.ask("POST", "/login", urlencode({"token": token}), form)


def test_after_five_wrong_tokens_an_address_has_to_wait(guarded):
    cookie = log_in(guarded, TOKEN).headers["Set-Cookie"].split(";")[0]
    for _ in range(5):
        assert guarded.get("/api/reading", Authorization="Bearer wrong").status == 401
    for answer in (log_in(guarded, TOKEN), guarded.get("/api/reading", Authorization=f"Bearer {TOKEN}")):
        assert answer.status == 429
        assert 0 < int(answer.headers["Retry-After"]) <= 61
    assert guarded.get("/api/reading", Cookie=cookie).status == 200, "who was let in before stays in"


def test_a_session_ends_and_cannot_be_made_up_or_prolonged():
    now = 1000.0
    ours = Access(TOKEN, clock=lambda: now)
    cookie = ours.new_session()
    assert ours.is_session(cookie)
    ends, signature = cookie.split(".")
    assert not ours.is_session(f"{int(ends) + 1}.{signature}")
    assert not ours.is_session("")
    assert not Access(f"{TOKEN}!", clock=lambda: now).is_session(cookie), "another token ends all sessions"
    now += access.SESSION_SECONDS
    assert not ours.is_session(cookie)


def test_a_rate_holds_for_each_address_and_forgets(monkeypatch):
    now = 0.0
    rate = Rate(2, 60, lambda: now)
    for _ in range(2):
        assert rate.wait("a") == 0
        rate.count("a")
    assert rate.wait("a") == 60
    assert rate.wait("b") == 0
    now = 60.0
    assert rate.wait("a") == 0
    monkeypatch.setattr(access, "ADDRESSES", 3)
    for number in range(10):
        rate.count(str(number))
    assert len(rate._times) == 3


def test_the_token_comes_from_a_file_the_environment_or_a_credential(tmp_path):
    (tmp_path / "web-token").write_text(f"{TOKEN}-of-credential\n")
    (tmp_path / "mine").write_text(f"{TOKEN}-of-file\n")
    told = {"EMOTION_EDGE_WEB_TOKEN": TOKEN, "CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert find_token(tmp_path / "mine", told) == f"{TOKEN}-of-file"
    assert find_token(None, told) == TOKEN
    assert find_token(None, {"CREDENTIALS_DIRECTORY": str(tmp_path)}) == f"{TOKEN}-of-credential"
    assert find_token(None, {"CREDENTIALS_DIRECTORY": "/nowhere"}) is None
    assert find_token(None, {}) is None


@pytest.mark.parametrize("text", ["", "short", "fifteen-letters", "with blanks inside it", "kein-schönes-token"])
def test_a_token_that_would_be_guessed_or_garbled_is_refused_without_being_shown(tmp_path, text):
    path = tmp_path / "token"
    path.write_text(text)
    with pytest.raises(SettingsError, match="expected a token of 16 characters or more") as told:
        find_token(path, {})
    assert not text or text not in str(told.value).replace(str(path), "")


def test_a_token_file_that_is_not_there_is_one_line():
    with pytest.raises(SettingsError, match=r"web: /nowhere/token: cannot be read \(No such file"):
        find_token(Path("/nowhere/token"), {})


def test_another_sites_name_that_points_here_is_refused(site):
    assert site.get("/api/reading", Host="evil.example").status == 403
    assert site.get("/", Host=f"evil.example:{site.port}").status == 403
    own = socket.gethostname()
    for host in ("localhost", "127.0.0.1:1", "[::1]:80", "192.168.1.5", f"{own}:80", f"{own.upper()}.local"):
        assert site.get("/api/reading", Host=host).status == 200, host


def test_a_further_name_can_be_given():
    with serving("0,host=kiosk.example") as site:
        assert site.get("/api/reading", Host="kiosk.example").status == 200
        assert site.get("/api/reading", Host="kiosk.example.evil.example").status == 403


def test_another_sites_page_can_send_nothing(site, portrait):
    assert site.post_photo(jpeg(portrait), Origin="http://evil.example").status == 403
    assert site.post_photo(jpeg(portrait), Origin=f"http://127.0.0.1:{site.port}").status == 200


def test_every_answer_has_the_headers_that_keep_a_browser_from_mischief(site):
    answers = [site.get(path) for path in ("/", "/page/app.js", "/api/reading", "/healthz", "/nothing", "/api/image")]
    with site.viewer() as content:
        fields = [answer.headers for answer in answers] + [head_of(content)[1]]
    for found in fields:
        assert found["Content-Security-Policy"].startswith("default-src 'self'; ")
        assert "frame-ancestors 'none'" in found["Content-Security-Policy"]
        assert found["X-Content-Type-Options"] == "nosniff"
        assert found["Referrer-Policy"] == "same-origin"
        assert found["Cross-Origin-Resource-Policy"] == "same-origin"
        assert found["Permissions-Policy"].startswith("camera=()")
        assert "Server" not in found
        assert "Access-Control-Allow-Origin" not in found
    assert answers[2].headers["Cache-Control"] == fields[-1]["Cache-Control"] == "no-store"


def test_no_file_but_the_pages_own_is_handed_out(site):
    for path in ("/page/../__init__.py", "/page/%2e%2e/server.py", "/page/nothing.css", "/page/", "/etc/passwd"):
        assert site.get(path).status == 404, path


# --- What is told ---------------------------------------------------------------------------------------------------


def test_a_reading_is_the_line_of_jsonl_and_the_health(site):
    site.sink.write(frame_result(face_result(track_id=3, box=Box(1, 2, 30, 40)), time=1.23456789, index=7))
    answer = site.get("/api/reading").json
    health = answer.pop("health")
    assert answer == {
        "time": 1.2346,
        "frame": 7,
        "faces": [
            {
                "id": 3,
                "box": [1, 2, 30, 40],
                "label": "calm",
                "since": 0.0,
                "confidence": 0.8,
                "scores": {"calm": 0.8, "cross": 0.2},
            }
        ],
    }
    assert (health["fresh"], health["frames"], health["skipped"], health["model"]) == (True, 1, 0, "tiny 1")
    assert health["resident_mb"] > 10


def test_before_the_first_frame_there_is_no_reading(site):
    answer = site.get("/api/reading").json
    assert (answer["time"], answer["frame"], answer["faces"]) == (None, None, [])
    assert (answer["health"]["fresh"], answer["health"]["since_frame_seconds"]) == (False, None)


def test_events_begin_with_what_does_not_change_and_go_on_with_each_reading(site):
    with site.viewer() as content:
        status, fields = head_of(content)
        assert (status, fields["Content-Type"]) == (200, "text/event-stream; charset=utf-8")
        hello = next_event(content, "hello")
        assert (hello["labels"], hello["image"], hello["photo"], hello["token"]) == (
            ["calm", "cross"],
            False,
            True,
            False,
        )
        for index in range(2):
            site.sink.write(frame_result(face_result("cross", 0.7), index=index))
            told = next_event(content, "reading")
            assert (told["frame"], told["faces"][0]["label"]) == (index, "cross")
        assert next_event(content, "health")["frames"] == 2


def test_labels_of_any_language_are_told_as_they_are():
    run = RunInfo(True, ('mü"de\\',), "größe")
    observation = frame_result(face_result())
    object.__setattr__(observation.faces[0], "scores", {run.labels[0]: 1.0})
    with serving("0", run) as site:
        site.sink.write(observation)
        assert site.get("/api/reading").json["faces"][0]["scores"] == {run.labels[0]: 1.0}
        assert samples(site)["emotion_edge_emotion_ratio"] == [({"emotion": run.labels[0]}, 1.0)]


def test_healthz_fails_without_frames_and_needs_no_token(guarded, monkeypatch):
    assert guarded.get("/healthz").status == 503
    guarded.sink.write(frame_result())
    answer = guarded.get("/healthz")
    assert answer.status == 200
    assert set(answer.json) == {"fresh", "since_frame_seconds"}, "it says no more than that"
    monkeypatch.setattr("edge.sinks.web.run_state.STALE_SECONDS", 0.0)
    assert guarded.get("/healthz").status == 503


def samples(site: Site) -> dict[str, list[tuple[dict[str, str], float]]]:
    """Return what Prometheus reads, name -> labels and value."""
    parser = pytest.importorskip("prometheus_client.parser")
    answer = site.get("/metrics")
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    for family in parser.text_string_to_metric_families(answer.body.decode()):
        assert family.documentation.endswith(".")
        assert family.type in ("counter", "gauge", "histogram"), family
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def test_metrics_are_what_prometheus_reads(site):
    for index in (0, 1, 5):
        observation = frame_result(face_result("cross", 0.75), time=index / 30, index=index)
        timings = {"detect": 0.004, "classify": 0.0007 if index else 1e-6}
        site.sink.write(replace(observation, timings=timings))
    found = samples(site)
    names = "camera_fps process_fps skipped_fps frames_total skipped_frames_total faces build_info uptime_seconds"
    assert {f"emotion_edge_{name}" for name in names.split()} <= set(found)
    assert found["emotion_edge_frames_total"] == [({}, 3)]
    assert found["emotion_edge_skipped_frames_total"] == [({}, 3)]
    assert found["emotion_edge_faces"] == [({}, 1)]
    assert found["emotion_edge_emotion_ratio"] == [({"emotion": "calm"}, 0.25), ({"emotion": "cross"}, 0.75)]
    assert found["emotion_edge_detection_seconds_sum"] == [({}, 0.012)]
    buckets = {labels["le"]: value for labels, value in found["emotion_edge_detection_seconds_bucket"]}
    assert (buckets["0.0025"], buckets["0.005"], buckets["+Inf"]) == (0, 3, 3)
    assert found["emotion_edge_inference_seconds_count"] == [({}, 2)], "a frame in which no face was due is none"
    assert found["emotion_edge_build_info"][0][0]["model"] == "tiny 1"
    skipped, processed = found["emotion_edge_skipped_fps"][0][1], found["emotion_edge_process_fps"][0][1]
    assert found["emotion_edge_camera_fps"][0][1] == pytest.approx(skipped + processed)


def test_rates_and_timeline_are_those_of_the_last_seconds():
    watch = Watch(("calm", "cross"))
    for index in range(0, 600, 2):  # every other frame of a camera of 30 a second, for 20 s; nobody in the last 10
        readings = [face_result("cross", 0.75)] if index < 300 else []
        watch.note(frame_result(*readings, index=index), 100 + index / 30)
    rates = watch.rates(120.0)
    assert (rates.process, rates.skipped, rates.camera) == pytest.approx((15, 15, 30), abs=0.3)
    points = watch.points(-1, 120.0)
    assert [point["second"] for point in points] == list(range(20))
    assert points[3] == {"second": 3, "faces": 1.0, "shares": [0.25, 0.75]}
    assert points[15] == {"second": 15, "faces": 0.0, "shares": None}
    assert [point["second"] for point in watch.points(17, 120.0)] == [18, 19]
    assert [point["second"] for point in watch.points(17, 119.5)] == [18], "a second counts when it is over"
    assert watch.rates(200.0).process == 0, "when no frame comes, that shows"


def test_the_timeline_takes_no_more_room_in_a_day():
    watch = Watch(("calm",))
    for second in range(HISTORY + 50):
        watch.note(frame_result(index=second), 1.0 + second)
    assert len(watch.points(-1, 1.0 + HISTORY + 50)) == HISTORY


# --- Images -------------------------------------------------------------------------------------------------------


def next_image(content) -> Any:
    """Return the next part of the multipart answer, decoded."""
    while not (found := re.match(rb"Content-Length: (\d+)", line := content.readline())):
        assert line, "the stream has ended"
    content.readline()
    return cv2.imdecode(np.frombuffer(content.read(int(found[1])), np.uint8), cv2.IMREAD_COLOR)


def test_no_image_is_shown_or_even_kept_unless_it_is_asked_for(site):
    observation = frame_result(face_result())
    image = weakref.ref(observation.frame.gray)
    site.sink.write(observation)
    assert site.get("/api/image").status == 404
    del observation
    gc.collect()
    assert image() is None


def counted(level: int, index: int, counts: list[int]):
    """Return an observation that counts how often its color image is made."""
    observation = frame_result(index=index)
    gray = np.full((64, 96, 3), level, np.uint8)

    def color():
        counts.append(index)
        return gray

    object.__setattr__(observation.frame, "color", color)
    return observation


def test_a_image_is_made_once_for_all_who_look_and_not_at_all_when_nobody_does():
    counts: list[int] = []
    with serving("0,image,fps=30") as site:
        site.sink.write(counted(50, 0, counts))
        with site.viewer("/api/image") as first, site.viewer("/api/image") as second:
            assert head_of(first)[1]["Content-Type"].startswith("multipart/x-mixed-replace; boundary=")
            images = [next_image(first)]
            until(lambda: samples(site)["emotion_edge_web_viewers"][1] == ({"of": "image"}, 2))
            before = len(counts)
            site.sink.write(counted(200, 1, counts))
            while images[-1].mean() < 150:
                images.append(next_image(first))
            while next_image(second).mean() < 150:
                pass
            assert images[0].shape == (64, 96, 3)
            time.sleep(0.2)  # six times in which it could be made again
            assert counts[before:].count(1) == 1
        until(lambda: samples(site)["emotion_edge_web_viewers"][1] == ({"of": "image"}, 0))
        made = len(counts)
        for index in range(2, 6):
            site.sink.write(counted(90, index, counts))
            assert site.get("/api/reading").status == 200
        assert len(counts) == made


def test_a_large_image_is_shown_smaller():
    with serving("0,image,fps=30") as site:
        site.sink.write(frame_result(size=(1920, 1080)))
        with site.viewer("/api/image") as content:
            assert next_image(content).shape == (540, 960, 3)


# --- A photo that is tried ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def photos(classifier):
    """A site that reads photos as `edge run` does."""
    from edge.cli import _about
    from edge.config.settings import RunSettings

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(handlers, "PHOTOS_AT_ONCE", 100)
        patch.setattr(server, "PHOTOS", 1000)
        with serving("0", _about(RunSettings(), classifier, live=True)) as site:
            yield site


def test_a_photo_is_read(photos, portrait):
    for ending in (".jpg", ".png", ".webp"):
        content = cv2.imencode(ending, portrait)[1].tobytes()
        answer = photos.post_photo(content, "application/octet-stream").json
        (face,) = answer["faces"]
        assert (answer["width"], answer["height"], face["label"]) == (512, 512, "happy")
        assert Box(*face["box"]).iou(PORTRAIT_FACE) > 0.5


def test_a_photo_is_turned_as_its_notes_say(photos, portrait):
    turned = Image.fromarray(np.rot90(portrait[:400, :, ::-1], 1))  # the camera was held on its side
    notes, content = Image.Exif(), io.BytesIO()
    notes[0x0112] = 6
    turned.save(content, "JPEG", exif=notes)
    answer = photos.post_photo(content.getvalue()).json
    (face,) = answer["faces"]
    assert (answer["width"], answer["height"]) == (512, 400)
    assert Box(*face["box"]).iou(PORTRAIT_FACE) > 0.5


def test_a_telephones_photo_is_shrunk_while_it_is_decoded(photos, portrait):
    large = cv2.resize(portrait, (8000, 6000))
    answer = photos.post_photo(jpeg(large)).json
    assert max(answer["width"], answer["height"]) <= photo.SIDE
    assert answer["faces"][0]["label"] == "happy"


def test_photos_say_their_size_before_they_are_decoded(portrait):
    image = Image.fromarray(portrait[:300, :, ::-1])
    for kind, options, shrinks in (
        ("JPEG", {}, True),
        ("JPEG", {"progressive": True}, False),
        ("PNG", {}, False),
        ("WEBP", {}, False),
        ("WEBP", {"lossless": True}, False),
        ("WEBP", {"exif": Image.Exif().tobytes()}, False),
    ):
        content = io.BytesIO()
        image.save(content, kind, **options)
        assert photo.size_of(content.getvalue()) == (512, 300, shrinks), (kind, options)


def png_head(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sIIBBBBB", 13, b"IHDR", width, height, 8, 2, 0, 0, 0) + bytes(100)


@pytest.mark.parametrize(
    ("content", "status", "words"),
    [
        (b"", 422, "This is no photo in JPEG, PNG or WebP"),
        (b"GIF89a" + bytes(100), 422, "This is no photo in JPEG, PNG or WebP"),
        (b"\xff\xd8\xff", 422, "cut short"),
        (b"\xff\xd8" + bytes(100), 422, "damaged"),
        (png_head(100, 100), 422, "cannot be decoded"),
        (png_head(100_000, 100_000), 422, "100000 x 100000 pixels; 16 million are the most"),
        (png_head(0, 100), 422, "0 x 100 pixels"),
        (bytes(photo.BYTES + 1), 413, "10 MB are the most"),
    ],
)
def test_what_is_no_photo_is_refused_with_a_reason(photos, content, status, words):
    answer = photos.post_photo(content)
    assert answer.status == status
    assert words in answer.json["error"]


def test_a_photo_of_unknown_length_is_limited_too(photos):
    pieces = iter([bytes(1 << 20)] * 11)
    assert photos.ask("POST", "/api/photo", pieces, {"Content-Type": "image/jpeg"}).status == 413


def test_a_form_of_another_sites_page_is_no_photo(photos):
    assert photos.post_photo(b"x", "text/plain").status == 415
    assert photos.get("/api/photo").status == 405


def test_photos_can_be_switched_off(portrait):
    with serving("0,no-photo") as site:
        assert site.post_photo(jpeg(portrait)).status == 404


def test_who_sends_too_many_photos_has_to_wait(monkeypatch, portrait):
    monkeypatch.setattr(server, "PHOTOS", 2)
    with serving() as site:
        answers = [site.post_photo(jpeg(portrait)) for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert 0 < int(answers[2].headers["Retry-After"]) <= 61


def test_a_bigger_body_than_a_form_needs_is_not_taken(site):
    form = {"Content-Type": "application/x-www-form-urlencoded", "Content-Length": "10006"}
    assert site.ask("POST", "/login", headers=form).status == 400  # before any of it is sent


# --- Many, slow and gone --------------------------------------------------------------------------------------------


def test_fifty_look_and_the_next_one_is_told_to_wait(site, monkeypatch):
    site.sink.write(frame_result(face_result()))
    with ExitStack() as stack:
        contents = [stack.enter_context(site.viewer()) for _ in range(50)]
        for content in contents:
            assert next_event(content, "hello")["faces"][0]["label"] == "calm"
        refused = site.get("/api/events")
        assert (refused.status, refused.headers["Retry-After"]) == (503, "10")
        site.sink.write(frame_result(index=1))
        for content in contents:
            while next_event(content, "reading")["frame"] != 1:
                pass
    until(lambda: site.sink._server is not None and not len(site.sink._server.listeners))
    with site.viewer() as content:
        assert head_of(content)[0] == 200


def test_a_viewer_that_takes_nothing_is_dropped_and_the_others_see_on(monkeypatch):
    monkeypatch.setattr(viewers, "PATIENCE", 0.3)
    noise = np.random.default_rng(0).integers(0, 255, (480, 640, 3), np.uint8)
    with (
        serving("0,image,fps=30") as site,
        site.viewer("/api/image", buffer=4096),
        site.viewer("/api/image") as good,
    ):
        for index in range(10_000):
            observation = frame_result(index=index)
            object.__setattr__(observation.frame, "color", lambda: noise)
            site.sink.write(observation)
            assert next_image(good).shape == (480, 640, 3)
            if samples(site)["emotion_edge_web_dropped_viewers_total"] == [({}, 1)]:
                break
        else:
            raise AssertionError("it was not dropped")
        assert samples(site)["emotion_edge_web_viewers"][1][1] == 1


def test_more_connections_than_allowed_are_turned_away(monkeypatch):
    monkeypatch.setattr(server, "CONNECTIONS", 2)
    with serving() as site:
        site.sink.write(frame_result())
        with site.viewer() as first, site.viewer() as second:
            assert head_of(first)[0] == head_of(second)[0] == 200
            with site.viewer() as third, suppress(ConnectionError):
                assert third.read() == b""
        until(lambda: let_in(site))


def let_in(site: Site) -> bool:
    try:
        return site.get("/healthz").status == 200
    except (ConnectionError, http.client.HTTPException):
        return False


def test_a_write_takes_less_than_a_fifth_of_a_millisecond_whoever_looks():
    with serving("0,image") as site, site.viewer(), site.viewer("/api/image"):
        observations = [frame_result(face_result(), face_result(track_id=2), index=index) for index in range(500)]
        taken = []
        for observation in observations:
            start = time.perf_counter()
            site.sink.write(observation)
            taken.append(time.perf_counter() - start)
    assert statistics.median(taken) < 0.2e-3


def test_it_stops_at_once_with_viewers_and_a_photo_in_hand(portrait):
    reading_it, go_on = threading.Event(), threading.Event()

    def read(_):
        reading_it.set()
        go_on.wait(PATIENCE)
        return ()

    with serving("0,image", RunInfo(True, ("calm",), "", read)) as site, site.viewer() as content:
        next_event(content, "hello")
        sender = threading.Thread(target=send_in_vain, args=(site, portrait))
        sender.start()
        assert reading_it.wait(PATIENCE)
        start = time.monotonic()
        site.sink.__exit__(None, None, None)
        assert time.monotonic() - start < 0.5
        assert content.read() is not None, "the viewer's connection is closed"
        go_on.set()
        sender.join()


def send_in_vain(site: Site, portrait: Any) -> None:
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        site.post_photo(jpeg(portrait))


def test_a_photo_that_is_being_read_does_not_take_the_process_down_at_its_end(portrait):
    with kiosk.RunInfo("run", "synthetic", "-s", "web:0", extra=SLOW_READER) as run:
        found = re.search(r"http://([\d.]+):(\d+)/", run.until("http"))
        assert found
        way = http.client.HTTPConnection(found[1], int(found[2]), timeout=PATIENCE)
        with closing(way):
            way.request("POST", "/api/photo", jpeg(portrait), {"Content-Type": "image/jpeg"})
            run.until("photo in hand")
            assert run.stop() < 3
    assert run.process.returncode == 0, run.lines


SLOW_READER = """
import time
import numpy as np
from edge import image_analyzer as still
def read(self, image):
    sys.stderr.write("photo in hand\\n")
    end = time.monotonic() + 1
    while time.monotonic() < end:
        cv2.medianBlur(np.zeros((1000, 1000), np.uint8), 15)
    return ()
still.ImageAnalyzer.__call__ = read
"""


def test_it_can_be_opened_again_and_leaves_nothing_behind():
    sink = Sink("0", RUN)
    with sink:
        pass
    before = open_descriptors(), threading.active_count()
    for _ in range(3):
        with sink:
            sink.write(frame_result())
            assert Site(sink).get("/healthz").status == 200
    assert (open_descriptors(), threading.active_count()) == before


def test_a_server_that_fails_is_an_error_of_the_next_frame(monkeypatch):
    async def broken(_):
        raise RuntimeError("made up")

    monkeypatch.setattr(server.Server, "_tell", broken)
    with serving() as site:
        until(lambda: site.sink._error is not None)
        with pytest.raises(SinkError, match=r"web: the server ended \(RuntimeError: made up\)"):
            site.sink.write(frame_result())


def test_a_mistake_of_ours_is_one_line_and_the_server_goes_on(site, monkeypatch, capfd):
    monkeypatch.setattr(Watch, "points", None)
    assert site.get("/api/events").status == 500
    assert site.get("/healthz").status == 503
    said = capfd.readouterr().err
    assert "edge: web: GET /api/events: TypeError: " in said
    assert "Traceback" not in said


def test_garbage_is_answered_or_dropped_and_never_shown(site, capfd):
    for garbage in (b"\0\xff\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n"):
        with socket.create_connection((site.host, site.port), PATIENCE) as way, suppress(OSError):
            way.sendall(garbage)
            way.shutdown(socket.SHUT_WR)
            way.recv(4096)
    assert site.get("/healthz").status == 503
    assert "Traceback" not in capfd.readouterr().err


def test_what_tornado_says_of_strangers_is_not_in_the_journal(site, caplog):
    logging.getLogger("tornado.general").warning("Write error on 12: a telephone has left the house")
    assert not caplog.records


def test_a_server_that_hangs_does_not_hold_up_the_end(site, monkeypatch):
    hangs, go_on = threading.Event(), threading.Event()

    def hang(*_):
        hangs.set()
        go_on.wait(PATIENCE)
        return {}

    monkeypatch.setattr(server.Server, "latest", hang)
    sender = threading.Thread(target=site.get, args=("/api/reading",))
    sender.start()
    assert hangs.wait(PATIENCE)
    start = time.monotonic()
    site.sink.__exit__(None, None, None)
    assert time.monotonic() - start < 0.5
    go_on.set()
    sender.join()


def test_the_command_serves_while_it_runs_and_stops_within_a_second():
    command = [EDGE, "run", "synthetic", "-s", "web:0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr
            found = re.fullmatch(r"web: http://127\.0\.0\.1:(\d+)/\n", process.stderr.readline())
            assert found
            with closing(http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=PATIENCE)) as way:
                until(lambda: fresh(way))
            with socket.create_connection(("127.0.0.1", int(found[1]))) as viewer:
                viewer.sendall(b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert viewer.recv(10)
                start = time.monotonic()
                process.terminate()
                process.wait(PATIENCE)
                assert time.monotonic() - start < 1.5
        finally:
            process.kill()
            said = process.communicate()[1]
    assert process.returncode == 0, said
    assert "frames a second" in said


def fresh(way: http.client.HTTPConnection) -> bool:
    way.request("GET", "/healthz")
    answer = way.getresponse()
    answer.read()
    return answer.status == 200


def test_it_is_found_among_the_sinks_and_loads_only_when_it_is_named():
    assert "web" in sinks.names()
    program = "import sys; from edge import sinks; sinks.make('console'); sys.exit('tornado' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_frames_without_a_place_in_the_source_do_not_count_as_skipped(site):
    for index in (10, 11, 3, 4):  # a camera that begins late, and one that begins anew
        site.sink.write(frame_result(index=index, time=index))
    assert site.get("/api/reading").json["health"]["skipped"] == 0
