"""Options of the sink mqtt: validated before anything is opened, and documented."""

import re
import subprocess
import sys
import threading

import pytest

pytest.importorskip("paho.mqtt.enums", reason="paho-mqtt 2 is not installed: pip install 'emotion-edge[mqtt]'")

from edge.errors import UsageError
from edge.sinks.mqtt import options
from edge.sinks.registry import find
from edge.types import RunInfo
from tests.support.commands import open_descriptors
from tests.support.paths import ROOT


def make_sink(argument):
    return find(f"mqtt:{argument}")(RunInfo())


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("", "broker is '', expected HOST, HOST:PORT"),
        ("topic=a", "broker is ''"),
        ("nas.local:70000", "broker is 'nas.local:70000'"),
        ("//nas.local", "broker is '//nas.local'"),
        ("nas.local:1883:1", "broker is"),
        ("nas,topic=a/#", "topic is 'a/#', expected levels"),
        ("nas,topic=/a", "topic is '/a'"),
        ("nas,topic=$SYS", "topic is '$SYS'"),
        ("nas,topic=" + 201 * "a", "up to 200 bytes"),
        ("nas,qos=3", "qos is '3', expected an integer from 0 to 2"),
        ("nas,rate=31", "rate is '31', expected a number from 0 to 30"),
        ("nas,version=4", "version is '4', expected 3.1.1 or 5"),
        ("nas,discovery", "discovery has no value"),
        ("nas,discovery=a+", "discovery is 'a+'"),
        ("nas,client-id=a b", "client-id is 'a b', expected 1 to 64"),
        ("nas,key=k.pem", "key without cert"),
        ("nas,user=joe", "'user'; did you mean user-file?"),
    ],
)
def test_wrong_argument_is_a_usage_error(argument, words):
    with pytest.raises(UsageError, match=re.escape(words)):
        make_sink(argument)


@pytest.mark.parametrize(
    "argument", ["joe:secret@nas", "//joe:secret@nas:1883,topic=a", "joe@nas", "joe:a,secret@nas,tls", "j:a=secret@nas"]
)
def test_password_in_argument_is_refused_and_not_repeated(argument):
    with pytest.raises(UsageError, match="password-file=FILE") as error:
        make_sink(argument)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    ("argument", "host", "port", "tls"),
    [
        ("nas.local", "nas.local", 1883, False),
        ("10.0.0.2:2000", "10.0.0.2", 2000, False),
        ("nas,tls", "nas", 8883, True),
        ("nas:2000,ca=ca.pem", "nas", 2000, True),
        ("[fe80::1]:2000", "fe80::1", 2000, False),
        ("[::1]", "::1", 1883, False),
    ],
)
def test_default_port_and_tls(argument, host, port, tls):
    parsed = options.parse(argument)
    assert (parsed.host, parsed.port, parsed.tls) == (host, port, tls)
    assert options.parse(parsed.address).address == parsed.address


def test_making_a_sink_opens_nothing_and_starts_no_thread():
    make_sink("nas")  # the modules are loaded
    before = open_descriptors(), threading.active_count()
    sink = make_sink("nas,tls,ca=/nowhere,password-file=/nowhere")
    assert (open_descriptors(), threading.active_count()) == before
    assert sink


def test_without_paho_the_message_says_what_to_install(tmp_path):
    config = tmp_path / "config.toml"
    config.write_text('sinks = ["mqtt:nas"]\n')
    program = "import sys; sys.modules['paho'] = None; from edge.cli import main; main()"
    command = [sys.executable, "-c", program, "config", "--check", config]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 78
    assert f"sink mqtt needs paho-mqtt 2 or newer: pip install -e '{ROOT}[mqtt]'" in result.stderr


def test_every_option_is_documented():
    text = (ROOT / "docs" / "mqtt.md").read_text()
    assert [name for name in options.OPTION_TYPES if f"`{name}" not in text] == []
