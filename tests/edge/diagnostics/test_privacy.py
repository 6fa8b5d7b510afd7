"""`edge config --privacy`: what each sink says that it keeps, sends and shows."""

import re
import subprocess
from typing import Any

import pytest

from edge.diagnostics import privacy
from edge.errors import UsageError
from edge.sinks import registry
from edge.types import Disclosure, RunInfo
from tests.support.paths import ROOT

ANY_ARGUMENT = {"csv": ":a.csv", "daylog": ":log", "video": ":a.mp4", "mqtt": ":nas"}


def disclosure(spec):
    try:
        sink: Any = registry.find(spec)(RunInfo())
    except UsageError as error:
        if "pip install" not in str(error):
            raise
        pytest.skip(str(error))
    return sink.disclose()


@pytest.mark.parametrize("name", registry.names())
def test_each_sink_says_something(name):
    found = disclosure(name + ANY_ARGUMENT.get(name, ""))
    assert found != Disclosure()


@pytest.mark.parametrize(
    ("spec", "part", "words"),
    [
        ("console", "kept", ("system's journal", "label")),
        ("console", "shown", ("terminal",)),
        ("jsonl", "sent", ("standard output", "probabilities")),
        ("jsonl:a.jsonl", "kept", ("in a.jsonl, until you delete it", "probabilities")),
        ("csv:b.csv", "kept", ("in b.csv, until you delete it", "probabilities", "name of the source file")),
        ("daylog:log", "kept", ("in log", "30 days", "20 MB", "time of day")),
        ("daylog:log,days=7,max-mb=3", "kept", ("7 days", "3 MB")),
        ("video:v.mp4", "kept", ("in v.mp4, until you delete it", "IMAGES")),
        ("window", "shown", ("the camera's IMAGE", "everybody")),
        ("window:no-image", "shown", ("no image", "everybody")),
        (
            "mqtt:nas,topic=shop/1",
            "sent",
            ("nas:1883", "NOT ENCRYPTED", "below shop/1", "no image", "keeps the last state"),
        ),
        ("mqtt:nas,tls", "sent", ("nas:8883, encrypted",)),
        ("mqtt:nas", "kept", ("in memory: up to 100 changes",)),
        ("mqtt:nas,discovery=homeassistant", "sent", ("below homeassistant", "model of the board")),
        ("web", "sent", ("programs on this device, at 127.0.0.1:8080", "labels")),
        ("web:0.0.0.0:8080", "sent", ("to whoever has the token", "photo", "at 0.0.0.0:8080, NOT ENCRYPTED: labels")),
        ("web:0.0.0.0:8080,insecure", "sent", ("EVERYBODY who can connect", "NOT ENCRYPTED")),
        ("web:image", "sent", ("the camera's IMAGE",)),
        ("web", "kept", ("in memory, for 5 minutes",)),
    ],
)
def test_sinks_say_what_where_and_to_whom(spec, part, words):
    text = "\n".join(getattr(disclosure(spec), part))
    assert [word for word in words if word not in text] == []


@pytest.mark.parametrize(
    "spec", ["jsonl", "jsonl:a", "csv:a.csv", "daylog:log", "window:no-image", "mqtt:nas,tls", "web"]
)
def test_no_image_is_mentioned_where_none_leaves_memory(spec):
    found = disclosure(spec)
    assert "IMAGE" not in " ".join((*found.kept, *found.sent, *found.shown))


def test_photos_are_only_mentioned_where_they_are_accepted():
    assert "photo" in " ".join(disclosure("web").sent)
    assert "photo" not in " ".join(disclosure("web:no-photo").sent)


class WritingSink:
    def __enter__(self):
        return self

    def write(self, result):
        pass

    def __exit__(self, *error):
        pass


class SilentSink(WritingSink):
    """A sink of a user, without `disclose`."""


class KeepingSink(WritingSink):
    def disclose(self):
        return Disclosure(kept=("in a drawer",))


def test_a_part_without_content_says_nothing():
    kept, sent, shown, notes = privacy.describe({"drawer:1": KeepingSink()}).split("\n\n")
    assert kept == "Kept on this device:\n  drawer:1: in a drawer"
    assert (sent, shown) == ("Sent from this device:\n  nothing", "Shown:\n  nothing")
    assert "at work and in education" in notes


def test_a_sink_without_disclosure_is_unknown():
    kept, sent, shown, _ = privacy.describe({"./mine.py": SilentSink(), "drawer": KeepingSink()}).split("\n\n")
    for part in (kept, sent, shown):
        assert f"  ./mine.py: {privacy.UNKNOWN}" in part.splitlines()


class DisclosingSink(WritingSink):
    """A sink of a user whose `disclose` returns `said`, or raises it."""

    def __init__(self, said):
        self._said = said

    def disclose(self):
        if isinstance(self._said, Exception):
            raise self._said
        return self._said


BROKEN: dict[str, Any] = {
    "raises": ValueError("two\nlines"),
    "text": "in a drawer",
    "nothing": None,
    "text in a part": Disclosure(kept="in a drawer"),  # type: ignore[arg-type]
    "numbers": Disclosure(sent=(1, 2)),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_sink_that_fails_to_describe_itself_is_unknown(name):
    *parts, _ = privacy.describe({"./mine.py": DisclosingSink(BROKEN[name])}).split("\n\n")
    for part in parts:
        _, line = part.splitlines()
        assert line.startswith(f"  ./mine.py: {privacy.UNKNOWN} (disclose() ")


def test_nothing_else_is_promised_only_if_each_sink_is_known():
    known: dict[str, Any] = {"drawer": KeepingSink()}
    assert privacy.NOTHING_ELSE in privacy.describe(known)
    for sink in (SilentSink(), DisclosingSink(None)):
        text = privacy.describe({**known, "./mine.py": sink})
        assert privacy.NOTHING_ELSE not in text
        assert privacy.ONLY_DESCRIBED in text


def test_a_name_with_a_line_break_is_one_line():
    said = Disclosure(kept=("in a\nShown:\n  nothing",))
    kept = privacy.describe({"a\nb": DisclosingSink(said)}).split("\n\n")[0]
    assert kept.splitlines() == ["Kept on this device:", "  a\\nb: in a\\nShown:\\n  nothing"]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("http://user@10.0.0.1/video", "NOT ENCRYPTED"),
        ("RTSP://10.0.0.1/1", "NOT ENCRYPTED"),
        ("rtsps://10.0.0.1/1", ", encrypted"),
    ],
)
def test_a_network_camera_says_whether_it_is_encrypted(source, words):
    sent = privacy.describe({}, source).split("\n\n")[1]
    assert words in sent
    assert "10.0.0.1" not in sent


def test_a_local_camera_sends_nothing():
    assert privacy.describe({}, "usb:0").split("\n\n")[1] == "Sent from this device:\n  nothing"


def test_calibration_by_faces_at_rest_is_named():
    assert privacy.NEUTRAL in privacy.describe({}, calibrate_neutral=True)
    assert privacy.NEUTRAL not in privacy.describe({})


def test_the_documented_commands_empty_the_folder_of_a_service(tmp_path):
    """With DynamicUser= /var/lib/emotion-edge is a link into /var/lib/private."""
    commands = re.findall(r"find /var/lib/\S+ [^&'\n]+", (ROOT / "docs" / "privacy.md").read_text())
    assert len(commands) == 2, "one board, a fleet"
    for command in commands:
        folder = tmp_path / "private" / "emotion-edge"
        (folder / "log").mkdir(parents=True, exist_ok=True)
        (folder / "log" / "emotions-2026-11-26.csv").touch()
        (folder / ".hidden").touch()
        (tmp_path / "emotion-edge").unlink(missing_ok=True)
        (tmp_path / "emotion-edge").symlink_to("private/emotion-edge")
        subprocess.run(command.replace("/var/lib", str(tmp_path)).split(), check=True)
        assert list(folder.iterdir()) == []
