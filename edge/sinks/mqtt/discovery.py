"""What Home Assistant is told, so that the device and its sensors appear there by themselves.

One retained message for the device with all its components, as Home Assistant 2024.11 and newer take it:
https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload
"""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
from pathlib import Path
from typing import Any

from edge.sinks.mqtt.options import Options
from edge.types import RunInfo

MACHINE_ID = Path("/etc/machine-id")
ID_DIGITS = 12  # hexadecimal: 48 bits, as many as a network card's address has
ONLINE = b"online"  # what Home Assistant says of itself when it has started, at PREFIX/status


def device_id(topic: str, machine_id: Path = MACHINE_ID) -> str:
    """Return what names this machine and `topic`, the same after each start, letters and digits only.

    machine-id(5) asks that the machine's own ID be told to nobody: a keyed hash of it cannot be traced back.
    """
    try:
        secret = machine_id.read_bytes().strip()
    except OSError:
        secret = b""
    key = secret or socket.gethostname().encode()
    return f"emotionedge{hmac.new(key, topic.encode(), hashlib.sha256).hexdigest()[:ID_DIGITS]}"


def topic(prefix: str, device: str) -> str:
    """Return the topic of the device's configuration."""
    return f"{prefix}/device/{device}/config"


def config(options: Options, run: RunInfo, device: str, *, version: str, board: str | None, thermometer: bool) -> bytes:
    """Return the device's configuration.

    Args:
        device: its ID.
        version: of this program.
        board: what the machine is, None where it does not say.
        thermometer: whether it knows its temperature.
    """
    about = {"identifiers": [device], "name": options.topic.replace("/", " "), "sw_version": version}
    components = {**_faces(run), **_health(), **(_thermometer() if thermometer else {})}
    payload = {
        "device": {**about, "manufacturer": "emotion-edge", "model": board or "Linux"},
        "origin": {"name": "emotion-edge", "sw_version": version},
        "availability_topic": f"{options.topic}/availability",
        "state_topic": f"{options.topic}/state",
        "qos": options.qos,
        "components": {name: {"unique_id": f"{device}_{name}", **component} for name, component in components.items()},
    }
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()


def _faces(run: RunInfo) -> dict[str, dict[str, Any]]:
    # null, where nobody is there or the model is unsure, becomes Home Assistant's own "unknown".
    choice = {"device_class": "enum", "options": list(run.labels)} if run.labels else {}
    return {
        "emotion": {
            **_sensor("Emotion", "{{ value_json.label }}"),
            **choice,
            "icon": "mdi:emoticon-outline",
        },
        "faces": {
            **_sensor("Faces", "{{ value_json.count }}"),
            "state_class": "measurement",
            "icon": "mdi:face-recognition",
        },
        "presence": {
            "platform": "binary_sensor",
            "name": "Presence",
            "device_class": "occupancy",
            "value_template": "{{ 'ON' if value_json.present else 'OFF' }}",
        },
    }


def _health() -> dict[str, dict[str, Any]]:
    return {
        "fps": {
            **_sensor("Frames per second", "{{ value_json.fps }}"),
            "state_class": "measurement",
            "entity_category": "diagnostic",
            "icon": "mdi:speedometer",
        }
    }


def _thermometer() -> dict[str, dict[str, Any]]:
    return {
        "temperature": {
            **_sensor("Temperature", "{{ value_json.temperature }}"),
            "device_class": "temperature",
            "unit_of_measurement": "°C",
            "state_class": "measurement",
            "entity_category": "diagnostic",
        }
    }


def _sensor(name: str, template: str) -> dict[str, Any]:
    return {"platform": "sensor", "name": name, "value_template": template}
