"""The options of the sink mqtt, validated before anything is opened."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.config import sink_options
from edge.errors import UsageError
from edge.system.paths import expand_path

PORT, TLS_PORT = 1883, 8883  # registered with IANA
MAX_TOPIC_BYTES = 200  # of a base topic; MQTT's own limit is 65,535, Home Assistant's device names are shorter
VERSIONS = ("3.1.1", "5")

_ADDRESS = re.compile(r"(?:\[(?P<ipv6>[^\]]+)\]|(?P<host>[^\s:/\[\]]+))(?::(?P<port>\d{1,5}))?")
_TOPIC = r"(?!\$)[^/#+\0]+(/[^/#+\0]+)*"


@dataclass(frozen=True, slots=True)
class MqttOptions:
    """A broker, and what to publish to it.

    The default version is 3.1.1: every broker supports it, and version 5 gives this sink only more precise error
    messages. Discovery is off by default: it publishes outside of the base topic, into somebody's Home Assistant.
    """

    host: str
    port: int
    topic: str  # the base of all topics
    qos: int = 1  # 0 to 2, of everything but samples, which have 0: the next one follows soon
    rate: float = 2.0  # maximum of samples per second between changes while a face is present; 0: none
    version: str = VERSIONS[0]
    tls: bool = False
    ca: Path | None = None  # PEM; None: the system's
    cert: Path | None = None  # PEM, of this client
    key: Path | None = None  # PEM; None: in `cert`
    user_file: Path | None = None
    password_file: Path | None = None
    discovery: str | None = None  # Home Assistant's discovery prefix
    client_id: str | None = None

    @property
    def address(self) -> str:
        """HOST:PORT, with an IPv6 address in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_local(self) -> bool:
        """Whether the host is certainly this machine."""
        with suppress(ValueError):
            return ipaddress.ip_address(self.host).is_loopback
        return self.host == "localhost"


def parse(argument: str) -> MqttOptions:
    """Return the options in `argument`. Raises UsageError naming the first one that is wrong."""
    if "@" in re.split(rf",(?:{'|'.join(OPTION_TYPES)})\b", argument)[0]:  # not repeated: it may hold a password
        raise UsageError(
            "sink mqtt: user or password before '@' found, which every user of this machine can read; expected "
            "mqtt:HOST,user-file=FILE,password-file=FILE, or $EMOTION_EDGE_MQTT_USER and $EMOTION_EDGE_MQTT_PASSWORD"
        )
    address, options = sink_options.parse("mqtt", argument, OPTION_TYPES)
    host, port = _parse_address(address)
    if "key" in options and "cert" not in options:
        raise UsageError("sink mqtt: key without cert found, expected both, or cert=FILE with the key in it")
    options["tls"] = bool({"tls", "ca", "cert"} & options.keys())
    if "topic" not in options:
        level = re.sub(r"[^\w.-]", "-", socket.gethostname()) or "device"
        options["topic"] = f"emotion-edge/{level}"
    fields = {name.replace("-", "_"): value for name, value in options.items()}
    return MqttOptions(host, port or (TLS_PORT if options["tls"] else PORT), **fields)


def _parse_address(text: str) -> tuple[str, int]:
    """Return host and port; port 0 if there is none."""
    match = _ADDRESS.fullmatch(text)
    port = int(match["port"] or 0) if match else 0
    if not match or (match["port"] and not 1 <= port <= 65535):
        raise UsageError(
            f"sink mqtt: broker is {text!r}, expected HOST, HOST:PORT or [IPV6]:PORT, for example mqtt:nas.local"
        )
    return match["ipv6"] or match["host"], port


def _matching(pattern: str, expected: str) -> Callable[[str], str]:
    """Return an option type: a text that matches `pattern`."""

    def convert(text: str) -> str:
        if not re.fullmatch(pattern, text) or len(text.encode()) > MAX_TOPIC_BYTES:
            raise ValueError(expected)
        return text

    return convert


OPTION_TYPES: dict[str, Callable[[str], Any]] = {
    "topic": _matching(
        _TOPIC, f"levels separated by /, none empty, without + or #, not starting with $, up to {MAX_TOPIC_BYTES} bytes"
    ),
    "qos": sink_options.number(0, 2),
    "rate": sink_options.number(0, 30, float),
    "version": _matching("|".join(map(re.escape, VERSIONS)), " or ".join(VERSIONS)),
    "tls": bool,
    **dict.fromkeys(("ca", "cert", "key", "user-file", "password-file"), expand_path),
    "discovery": _matching(_TOPIC, "Home Assistant's discovery prefix, which is homeassistant by default"),
    "client-id": _matching(r"(?a)[\w.:-]{1,64}", "1 to 64 letters, digits, and any of _ . : -"),
}
