"""Home Assistant's MQTT discovery: the device and its sensors appear there without configuration.

One retained message describes the device with all its components; Home Assistant 2024.11 and newer read it:
https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload
"""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
from pathlib import Path
from typing import Any

from edge.sinks.mqtt.options import MqttOptions
from edge.types import RunInfo

MACHINE_ID = Path("/etc/machine-id")
ID_DIGITS = 12  # hexadecimal: 48 bits, as in a MAC address
BIRTH_PAYLOAD = b"online"  # that Home Assistant publishes at PREFIX/status when it has started


def device_id(topic: str, machine_id: Path = MACHINE_ID) -> str:
    """Return an ID of this machine and base `topic`, constant across restarts: letters and digits only.

    It is a keyed hash, since machine-id(5) asks that the machine's own ID be kept confidential.
    """
    try:
        secret = machine_id.read_bytes().strip()
    except OSError:
        secret = b""
    key = secret or socket.gethostname().encode()
    return f"emotionedge{hmac.new(key, topic.encode(), hashlib.sha256).hexdigest()[:ID_DIGITS]}"


def config_topic(prefix: str, device: str) -> str:
    """Return the topic of the device's configuration."""
    return f"{prefix}/device/{device}/config"


def encode_config(
    options: MqttOptions, run: RunInfo, device: str, *, version: str, board: str | None, temperature: bool
) -> bytes:
    """Return the device's configuration.

    Args:
        device: its ID.
        version: of this program.
        board: model of the machine, None if unknown.
        temperature: whether the machine reports one.
    """
    components = _components(run)
    if not temperature:
        del components["temperature"]
    payload = {
        "device": {
            "identifiers": [device],
            "name": options.topic.replace("/", " "),
            "sw_version": version,
            "manufacturer": "emotion-edge",
            "model": board or "Linux",
        },
        "origin": {"name": "emotion-edge", "sw_version": version},
        "availability_topic": f"{options.topic}/availability",
        "state_topic": f"{options.topic}/state",
        "qos": options.qos,
        "components": {name: {"unique_id": f"{device}_{name}", **component} for name, component in components.items()},
    }
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()


def _components(run: RunInfo) -> dict[str, dict[str, Any]]:
    """Return each component by its name; the templates read the payload of the topic `state`."""
    # A label of null (no face, or uncertain) becomes Home Assistant's own "unknown".
    labels = {"device_class": "enum", "options": list(run.labels)} if run.labels else {}
    measurement = {"state_class": "measurement"}
    diagnostic = {**measurement, "entity_category": "diagnostic"}
    return {
        "emotion": {**_sensor("Emotion", "label"), **labels, "icon": "mdi:emoticon-outline"},
        "faces": {**_sensor("Faces", "count"), **measurement, "icon": "mdi:face-recognition"},
        "presence": {
            "platform": "binary_sensor",
            "name": "Presence",
            "device_class": "occupancy",
            "value_template": "{{ 'ON' if value_json.present else 'OFF' }}",
        },
        "fps": {**_sensor("Frames per second", "fps"), **diagnostic, "icon": "mdi:speedometer"},
        "temperature": {
            **_sensor("Temperature", "temperature"),
            **diagnostic,
            "device_class": "temperature",
            "unit_of_measurement": "°C",
        },
    }


def _sensor(name: str, key: str) -> dict[str, Any]:
    return {"platform": "sensor", "name": name, "value_template": f"{{{{ value_json.{key} }}}}"}
