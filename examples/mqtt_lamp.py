"""Give a lamp the color of the emotion: reads the results of `edge run` at a broker, and sets a Zigbee lamp.

    ./scripts/run.sh --sink mqtt:nas.local,topic=home/kiosk1
    .venv/bin/python examples/mqtt_lamp.py nas.local 1883 home/kiosk1/state zigbee2mqtt/hallway/set

The first command also installs paho-mqtt. The lamp's topic and payload are those of Zigbee2MQTT.
"""

import json
import sys
from typing import Any

try:
    from paho.mqtt.client import Client, MQTTMessage
    from paho.mqtt.enums import CallbackAPIVersion
except ImportError as error:
    sys.exit(f"mqtt_lamp: {error}; start scripts/run.sh --sink mqtt:HOST once; elsewhere: pip install '.[mqtt]'")

COLORS = {"happy": "#ffc000", "sad": "#2040ff", "angry": "#ff0000", "surprise": "#00ff80"}
OTHER = "#ffe0c0"  # any other label, or an uncertain face

if len(sys.argv) != 5:
    sys.exit("usage: mqtt_lamp.py HOST PORT STATE_TOPIC LAMP_TOPIC")
host, port, state_topic, lamp_topic = sys.argv[1:]


def connected(client: Client, *_: object) -> None:
    client.subscribe(state_topic, qos=1)  # at each connection: a new session has no subscriptions


def state_changed(client: Client, _: Any, message: MQTTMessage) -> None:
    state = json.loads(message.payload)
    command = {"state": "ON", "color": {"hex": COLORS.get(state["label"], OTHER)}, "transition": 1}
    client.publish(lamp_topic, json.dumps(command if state["present"] else {"state": "OFF"}), qos=1)


lamp = Client(CallbackAPIVersion.VERSION2)
lamp.on_connect = connected
lamp.on_message = state_changed
try:
    lamp.connect(host, int(port))
except (OSError, ValueError) as error:
    sys.exit(f"mqtt_lamp: no broker at {host}:{port} ({error})")
lamp.loop_forever()  # connects again by itself
