"""Authentication by token and session, logout, host names, other sites' pages."""

import re
import socket
import time
from pathlib import Path

import pytest

from edge.errors import SettingsError
from tests.support.fakes import FakeClock

pytest.importorskip("tornado", reason="pip install 'emotion-edge[web]'")

from edge.sinks.web import rate_limiter
from edge.sinks.web.authentication import SESSION_DAYS, load_token
from edge.sinks.web.rate_limiter import RateLimiter
from tests.support.web_client import TOKEN, encode_jpeg, next_event, read_head, running_sink

# ---- token


@pytest.mark.parametrize("path", ["/api/result", "/api/events", "/api/stream.mjpg", "/metrics"])
def test_nothing_is_sent_without_the_token(guarded, path):
    for headers in (
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Cookie": "emotion-edge=1.x"},
    ):
        response = guarded.get(path, **headers)
        assert (response.status, response.headers["WWW-Authenticate"]) == (401, "Bearer")


def test_photo_without_the_token_is_refused(guarded, portrait):
    assert guarded.post_photo(encode_jpeg(portrait)).status == 401


def test_bearer_token_gives_access(guarded):
    assert guarded.get("/api/result", Authorization=f"Bearer {TOKEN}").status == 200


def test_address_has_to_wait_after_five_wrong_tokens(guarded):
    cookie = guarded.log_in().cookie
    for _ in range(5):
        assert guarded.get("/api/result", Authorization="Bearer wrong").status == 401
    for response in (guarded.log_in(), guarded.get("/api/result", Authorization=f"Bearer {TOKEN}")):
        assert response.status == 429
        assert 0 < int(response.headers["Retry-After"]) <= 61
    assert guarded.get("/api/result", Cookie=cookie).status == 200, "a session is not affected"


def test_rate_limit_is_per_address_and_its_memory_bounded(monkeypatch):
    clock = FakeClock()
    limiter = RateLimiter(2, 60, clock)
    for _ in range(2):
        assert limiter.seconds_to_wait("a") == 0
        limiter.count("a")
    assert limiter.seconds_to_wait("a") == 60
    assert limiter.seconds_to_wait("b") == 0
    clock.now = 60.0
    assert limiter.seconds_to_wait("a") == 0
    monkeypatch.setattr(rate_limiter, "MAX_ADDRESSES", 3)
    for number in range(10):
        limiter.count(str(number))
    assert len(limiter) == 3


def test_token_is_read_from_file_environment_or_credential(tmp_path):
    (tmp_path / "web-token").write_text(f"{TOKEN}-of-credential\n")
    (tmp_path / "mine").write_text(f"{TOKEN}-of-file\n")
    environment = {"EMOTION_EDGE_WEB_TOKEN": TOKEN, "CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert load_token(tmp_path / "mine", environment) == f"{TOKEN}-of-file"
    assert load_token(None, environment) == TOKEN
    assert load_token(None, {"CREDENTIALS_DIRECTORY": str(tmp_path)}) == f"{TOKEN}-of-credential"
    assert load_token(None, {"CREDENTIALS_DIRECTORY": "/nowhere"}) is None
    assert load_token(None, {}) is None


@pytest.mark.parametrize("text", ["", "short", "fifteen-letters", "with blanks inside it", "kein-schönes-token"])
def test_weak_token_is_refused_without_being_shown(tmp_path, text):
    path = tmp_path / "token"
    path.write_text(text)
    with pytest.raises(SettingsError, match="16 or more") as raised:
        load_token(path, {})
    assert not text or text not in str(raised.value).replace(str(path), "")


def test_missing_token_file_is_named_in_the_error():
    with pytest.raises(SettingsError, match=r"^web: /nowhere/token: "):
        load_token(Path("/nowhere/token"), {})


# ---- sessions


def test_page_redirects_to_the_login_which_opens_a_session(guarded):
    response = guarded.get("/")
    assert (response.status, response.headers["Location"]) == (303, "/login")
    assert b'name="token"' in guarded.get("/login").body
    wrong = guarded.log_in("wrong")
    assert (wrong.status, wrong.headers["Location"], wrong.headers["Set-Cookie"]) == (303, "/login#wrong", None)
    right = guarded.log_in()
    assert (right.status, right.headers["Location"]) == (303, "/")
    cookie, *attributes = right.headers["Set-Cookie"].split("; ")
    assert {"HttpOnly", "SameSite=Strict", "Path=/", f"Max-Age={SESSION_DAYS * 86400}"} <= set(attributes)
    assert TOKEN not in cookie
    assert guarded.get("/", Cookie=cookie).status == guarded.get("/api/result", Cookie=cookie).status == 200


def test_changed_cookie_is_no_session(guarded):
    cookie = guarded.log_in().cookie
    for place in range(cookie.index("=") + 1, len(cookie) - 1):
        changed = cookie[:place] + ("1" if cookie[place] == "0" else "0") + cookie[place + 1 :]
        assert guarded.get("/api/result", Cookie=changed).status == 401, changed
    for garbage in ("emotion-edge=", 'emotion-edge="2|1:0|"', "emotion-edge=2|1:0|10:9|x|y|z", "emotion-edge=\xff"):
        assert guarded.get("/api/result", Cookie=garbage).status == 401, garbage


def test_session_expires(guarded, monkeypatch):
    cookie = guarded.log_in().cookie
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + SESSION_DAYS * 86400 - 60)
    assert guarded.get("/api/result", Cookie=cookie).status == 200
    monkeypatch.setattr(time, "time", lambda: now + SESSION_DAYS * 86400 + 60)
    assert guarded.get("/api/result", Cookie=cookie).status == 401


def test_logout_revokes_all_sessions(guarded):
    first, second = guarded.log_in().cookie, guarded.log_in().cookie
    response = guarded.log_out(Cookie=first)
    assert (response.status, response.headers["Location"]) == (303, "/login")
    assert response.cookie == 'emotion-edge=""'
    for copied in (first, second):
        assert guarded.get("/api/result", Cookie=copied).status == 401
        assert guarded.get("/", Cookie=copied).status == 303
    assert guarded.get("/api/result", Cookie=guarded.log_in().cookie).status == 200, "a new session is valid"


def test_logout_ends_open_streams(monkeypatch):
    monkeypatch.setenv("EMOTION_EDGE_WEB_TOKEN", TOKEN)
    with running_sink("0,image") as guarded:
        cookie = guarded.log_in().cookie
        with (
            guarded.stream(Cookie=cookie) as events,
            guarded.stream("/api/stream.mjpg", Cookie=cookie) as images,
        ):
            next_event(events, "init")
            assert read_head(images)[0] == 200
            guarded.log_out(Cookie=cookie)
            events.read()
            images.read()  # both return, as the connections are closed


def test_logout_without_a_session_revokes_nothing(guarded):
    cookie = guarded.log_in().cookie
    stranger = guarded.log_out()
    assert (stranger.status, stranger.headers["Location"]) == (303, "/login")
    assert guarded.log_out(Cookie=cookie, Origin="http://evil.example").status == 403
    assert guarded.get("/api/result", Cookie=cookie).status == 200


def test_logout_without_authentication_keeps_streams_open(client):
    with client.stream() as events:
        next_event(events, "init")
        assert client.log_out().status == 303
        assert next_event(events, "health")


def test_restart_of_the_server_ends_sessions(monkeypatch):
    monkeypatch.setenv("EMOTION_EDGE_WEB_TOKEN", TOKEN)
    with running_sink() as before:
        cookie = before.log_in().cookie
        before.log_out(Cookie=cookie)
    with running_sink() as after:
        assert after.get("/api/result", Cookie=cookie).status == 401


# ---- host names and other sites


def test_unknown_host_name_is_refused(client):
    assert client.get("/api/result", Host="evil.example").status == 403
    assert client.get("/", Host=f"evil.example:{client.port}").status == 403
    own = socket.gethostname()
    for host in ("localhost", "127.0.0.1:1", "[::1]:80", "192.168.1.5", f"{own}:80", f"{own.upper()}.local"):
        assert client.get("/api/result", Host=host).status == 200, host


def test_option_host_adds_a_host_name():
    with running_sink("0,host=kiosk.example") as client:
        assert client.get("/api/result", Host="kiosk.example").status == 200
        assert client.get("/api/result", Host="kiosk.example.evil.example").status == 403


def test_another_sites_page_cannot_send_a_photo(client, portrait):
    assert client.post_photo(encode_jpeg(portrait), Origin="http://evil.example").status == 403
    assert client.post_photo(encode_jpeg(portrait), Origin=f"http://127.0.0.1:{client.port}").status == 200


def test_every_response_has_the_security_headers(client):
    paths = ("/", "/page/app.js", "/api/result", "/healthz", "/nothing", "/api/stream.mjpg")
    responses = [client.get(path) for path in paths]
    with client.stream() as content:
        all_headers = [response.headers for response in responses] + [read_head(content)[1]]
    for headers in all_headers:
        assert headers["Content-Security-Policy"].startswith("default-src 'self'; ")
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert headers["Permissions-Policy"].startswith("camera=()")
        assert "Server" not in headers
        assert "Access-Control-Allow-Origin" not in headers
    assert responses[2].headers["Cache-Control"] == all_headers[-1]["Cache-Control"] == "no-store"


def test_only_files_of_the_page_are_served(client):
    for path in ("/page/../__init__.py", "/page/%2e%2e/server.py", "/page/nothing.css", "/page/", "/etc/passwd"):
        assert client.get(path).status == 404, path
    assert re.search(b"<title>", client.get("/").body)
