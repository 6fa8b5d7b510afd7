"""What stands behind `mqtt:`, checked before anything is opened."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.config.sink_options import number
from edge.config.sink_options import parse as parse_options
from edge.errors import UsageError

PORT, TLS_PORT = 1883, 8883  # as IANA has them
TOPIC_BYTES = 200  # of a base topic; MQTT's own limit is 65,535, Home Assistant's device names are shorter
VERSIONS = ("3.1.1", "5")

_ADDRESS = re.compile(r"(?:\[(?P<six>[^\]]+)\]|(?P<host>[^\s:/\[\]]+))(?::(?P<port>\d{1,5}))?")


@dataclass(frozen=True, slots=True)
class Options:
    """A broker, and what it is told.

    Two defaults and their reasons: version 3.1.1, for every broker speaks it and 5 gives this sink nothing but better
    words in a refusal; no discovery, for that writes outside of the base topic, and appears in somebody's house.
    """

    host: str
    port: int
    topic: str  # the base of all topics
    qos: int = 1  # 0 to 2, of everything but samples, which are 0: the next one is near
    rate: float = 2.0  # samples a second at most, between changes, while somebody is there; 0: none
    version: str = VERSIONS[0]
    tls: bool = False
    ca: Path | None = None  # PEM; None: the system's
    cert: Path | None = None  # PEM, of this client
    key: Path | None = None  # PEM; None: in `cert`
    user_file: Path | None = None
    password_file: Path | None = None
    discovery: str | None = None  # the prefix that Home Assistant listens to
    client_id: str | None = None

    @property
    def address(self) -> str:
        """HOST:PORT, as a person writes it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def stays_here(self) -> bool:
        """Whether the broker is on this machine, for all that the host's name tells."""
        with suppress(ValueError):
            return ipaddress.ip_address(self.host).is_loopback
        return self.host == "localhost"


def parse(argument: str) -> Options:
    """Return the options of `argument`. Raises UsageError naming what is wrong."""
    known = _known()
    if "@" in re.split(rf",(?:{'|'.join(known)})\b", argument)[0]:  # not shown: it may hold a password
        raise UsageError(
            "sink mqtt: a user or a password before '@', where every user of this machine can read it; expected "
            "mqtt:HOST,user-file=FILE,password-file=FILE, or $EMOTION_EDGE_MQTT_USER and $EMOTION_EDGE_MQTT_PASSWORD"
        )
    address, found = parse_options("mqtt", argument, known)
    host, port = _address(address)
    if "key" in found and "cert" not in found:
        raise UsageError("sink mqtt: key without cert, expected both, or cert=FILE with the key in it")
    found["tls"] = bool({"tls", "ca", "cert"} & found.keys())
    found.setdefault("topic", f"emotion-edge/{_topic_level(socket.gethostname())}")
    return Options(host, port or (TLS_PORT if found["tls"] else PORT), **_as_fields(found))


def _known() -> dict[str, Callable[[str], Any]]:
    paths = dict.fromkeys(("ca", "cert", "key", "user-file", "password-file"), _path)
    return {
        "topic": _topic,
        "qos": number(0, 2),
        "rate": number(0, 30, float),
        "version": _version,
        "tls": bool,
        **paths,
        "discovery": _prefix,
        "client-id": _client_id,
    }


def _as_fields(found: dict[str, Any]) -> dict[str, Any]:
    return {name.replace("-", "_"): value for name, value in found.items()}


def _address(text: str) -> tuple[str, int]:
    """Return host and port of `text`, port 0 where there is none."""
    matched = _ADDRESS.fullmatch(text)
    port = int(matched["port"] or 0) if matched else 0
    if not matched or (matched["port"] and not 1 <= port <= 65535):
        raise UsageError(
            f"sink mqtt: {text!r} is no broker, expected HOST, HOST:PORT or [IPV6]:PORT, as mqtt:nas.local"
        )
    return matched["six"] or matched["host"], port


def _topic(text: str) -> str:
    bad = set(text) & {"#", "+", "\0"} or not all(text.split("/")) or text.startswith("$")
    if bad or len(text.encode()) > TOPIC_BYTES:
        raise ValueError(f"levels with / between them, none empty, no + or #, no $ in front, up to {TOPIC_BYTES} bytes")
    return text


def _prefix(text: str) -> str:
    with suppress(ValueError):
        return _topic(text)
    raise ValueError("the discovery prefix of Home Assistant, which is homeassistant unless somebody changed it")


def _version(text: str) -> str:
    if text not in VERSIONS:
        raise ValueError(" or ".join(VERSIONS))
    return text


def _client_id(text: str) -> str:
    if not re.fullmatch(r"[\w.:-]{1,64}", text, re.ASCII):
        raise ValueError("1 to 64 letters, digits, and any of _ . : -")
    return text


def _path(text: str) -> Path:
    return Path(text).expanduser()


def _topic_level(text: str) -> str:
    return re.sub(r"[^\w.-]", "-", text) or "device"
