"""Passwords and tokens come from a file, the environment or systemd, in this order."""

from __future__ import annotations

import pytest

from edge.config.secrets import hide_passwords, load_secret
from edge.errors import SettingsError


def test_a_named_file_precedes_the_environment_and_systemd(tmp_path):
    (tmp_path / "named").write_text("of the file\n")
    (tmp_path / "token").write_text("of systemd\n")
    environment = {"TOKEN": "of the environment", "CREDENTIALS_DIRECTORY": str(tmp_path)}
    named = load_secret("web", tmp_path / "named", "TOKEN", "token", environment)
    assert named == ("of the file\n", str(tmp_path / "named"))
    assert load_secret("web", None, "TOKEN", "token", environment) == ("of the environment", "$TOKEN")
    del environment["TOKEN"]
    assert load_secret("web", None, "TOKEN", "token", environment) == ("of systemd\n", str(tmp_path / "token"))
    assert load_secret("web", None, "TOKEN", "another", environment) is None
    assert load_secret("web", None, "TOKEN", "token", {}) is None


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "No such file"), (b"\xff\xfe", "invalid start byte"), (b"x" * 70_001, "more than 70,000 bytes")],
)
def test_a_named_file_that_cannot_be_read_is_an_error(tmp_path, content, reason):
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError, match=f"^web: {path}: .*{reason}"):
        load_secret("web", path, "TOKEN", "token", {"TOKEN": "of the environment"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rtsp://eva:geheim@cam:554/live", "rtsp:...@cam:554/live"),
        ("rtsp://eva:ge@h eim@cam/live", "rtsp:...@cam/live"),
        ("http://cam/x?user=eva&pwd=geheim", "http://cam/x?..."),
        ('["mqtt:eva:geheim@nas", "console"]', '["mqtt:...@nas", "console"]'),
        ('["web:80,token=geheim,image"]', '["web:80,token=...,image"]'),
        ('password = "geheim', "password =..."),
        ('source = "rtsp://eva:geheim', 'source = "rtsp://eva:...'),
    ],
)
def test_what_may_be_a_password_is_not_repeated(text, expected):
    assert hide_passwords(text) == expected


@pytest.mark.parametrize(
    "text", ["rtsp://cam:554/live", "mqtt:nas,password-file=pw,qos=1", "happy=0.5", "usb:0", '"a"']
)
def test_values_without_a_password_stay(text):
    assert hide_passwords(text) == text
