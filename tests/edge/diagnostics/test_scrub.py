"""What identifies a person, a place or a device does not survive `scrub`; what a maintainer needs does."""

import random
import string

import pytest

from edge.config.image_formats import READ_IMAGE_SUFFIXES, VIDEO_SUFFIXES
from edge.diagnostics.scrub import PACKAGE_FOLDER, PrivateNames, replace_names, scrub

NAMES = PrivateNames(
    hosts=frozenset({"anna-laptop", "kiosk1"}),
    users=frozenset({"anna", "Anna Example"}),
    secrets=frozenset({"hunter2"}),
    folders=((f"{PACKAGE_FOLDER}", "[package]"), ("/home/anna/venv", "[python]")),
)
NOBODY = PrivateNames()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rtsp://10.0.0.3:554/live: no answer", "rtsp://[address] no answer"),
        ("rtsp://a:b c@d e@cam.local/live: no", "rtsp://[address]"),
        ("rtsp://cam.local/live?pw=a b", "rtsp://[address]"),
        ("mqtt: fritz.box and nas.local: no answer", "mqtt: [address] and [address]: no answer"),
        (
            "mqtt: cannot connect to nas.example: 192.168.1.7:1883",
            "mqtt: cannot connect to nas.example: [address]:1883",
        ),
        ("fe80::1ff:fe23:4567:890a%eth0 and 2001:db8::7", "[address] and [address]"),
        ("b8:27:eb:12:34:56", "[address]"),
        ("write to anna.b+c@mail.example", "write to [address]"),
        ("password=a b, c", "password=[secret]"),
        ("{'token': 'a b'}", "{'token=[secret]"),
        ("password: geheim", "password=[secret]"),
        ("Authorization: Bearer abc def", "Authorization=[secret]"),
        ("c.toml:3: 'pw \"x y\"' is not valid TOML (no)", "[file].toml:3: '[line]' is not valid TOML (no)"),
        ("/home/someone/My Photos/Eva.jpg: no such file", "[path]: no such file"),
        ('File "/srv/someone/sink.py", line 3', 'File "[path]", line 3'),
        ("~/faces/x and ~eva/y", "[path]"),
        (r"C:\Users\Eva\x.jpg: no", "[path]: no"),
        ("/dev/../home/eva/x: no", "[path]: no"),
        ("Eva.jpg: damaged", "[file].jpg: damaged"),
        ("carl und eva/eva am strand.mp4: no", "[file].mp4: no"),
        ("jsonl:eva/my faces/a.jsonl: no", "jsonl:[file].jsonl: no"),
        (r"eva\x y.py: no", "[file].py: no"),
        (r"\\nas\eva\films: no", "[path]: no"),
        ("home/eva/kitchen: no", "[path]: no"),
        ("/dev/v4l/by-id/usb-046d_C920_A1B2C3D4-video-index0: busy", "/dev/v4l/by-id/[id]: busy"),
        ("00000000-0000-1000-8000-00805f9b34fb 100000003d1d1c36", "[id] [id]"),
        ("key AbCdEfGh1jKlMnOpQrStUv", "key [id]"),
    ],
)
def test_what_has_the_form_of_something_private_is_replaced(text, expected):
    assert scrub(text, NOBODY) == expected


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-26T11:30:12+0000 edge[123]: web: port 8080 is in use",
        "usb: /dev/video0 delivers no images: 30 frames/s, 640 / 480",
        "mqtt: the broker refuses user and password: not authorized",
        "listening at 127.0.0.1:8080 and [::1]:8080 and 0.0.0.0",
        "GET /api/result 200",
        "uvcvideo (HD Webcam C270), formats MJPG, YUYV",
        "/etc/emotion-edge/config.toml:3: threads is 0, expected 1 to 64",
        "/opt/emotion-edge/current/venv/bin/edge",
        "(mobilenet_v2 1.0, 128 px), haarcascade_frontalface_alt2.xml",
        "Linux 6.12.25+rpt-rpi-2712, 12:34:56, 4.14.0",
        "cannot be read; expected a .tflite file (.mp4, .avi)",
        "<3>face detector: ~30 px, a/b, and/or",
    ],
)
def test_what_a_maintainer_needs_stays(text):
    assert scrub(text, NAMES) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("topic emotion-edge/kiosk1 of KIOSK1", "topic emotion-edge/[host] of [host]"),
        ("anna may not read /dev/video0", "[user] may not read /dev/video0"),
        ("made by Anna Example, annabel", "made by [user], annabel"),
        ("xhunter2y", "x[secret]y"),
    ],
)
def test_names_and_secrets_of_the_machine_are_replaced(text, expected):
    assert scrub(text, NAMES) == expected
    assert replace_names(text, NAMES) == expected


@pytest.mark.parametrize("suffix", [*READ_IMAGE_SUFFIXES, *VIDEO_SUFFIXES, ".keras", ".toml", ".py", ".svg"])
def test_the_name_of_every_kind_of_file_is_replaced(suffix):
    assert scrub(f"eva{suffix}: no", NOBODY) == f"[file]{suffix}: no"


def test_files_of_the_package_and_of_python_keep_their_place():
    assert scrub(f'File "{PACKAGE_FOLDER}/edge/app.py", line 3', NAMES) == 'File "[package]/edge/app.py", line 3'
    assert scrub("/home/anna/venv/lib/tornado/web.py: no", NAMES) == "[python]/lib/tornado/web.py: no"


def test_the_names_come_from_the_machine_and_its_environment(monkeypatch):
    monkeypatch.setattr("socket.gethostname", lambda: "kiosk1.shop.example")
    environment = {
        "SUDO_USER": "eva",
        "EMOTION_EDGE_CAMERA_PASSWORD": "a b\n",
        "EMOTION_EDGE_MODEL": "x",
        "USER": "root",
    }
    names = PrivateNames.of_this_machine(environment)
    assert {"kiosk1.shop.example", "kiosk1", "shop.example"} <= names.hosts
    assert "eva" in names.users
    assert "root" not in names.users
    assert names.secrets == {"a b"}
    assert f"{PACKAGE_FOLDER}" in dict(names.folders)


TEMPLATES = [
    "edge: error: {scheme}://{user}:{password}@{host}/live?token={password}: no answer",
    "{scheme}://{user}:{password}@{host}",
    'c.toml:3: source is "{scheme}://{user}:{password}@{host}/a b", expected no password',
    "c.toml:9: 'sinks = [\"mqtt:{user}:{password}@{host}\"]' is not valid TOML (no)",
    'sinks = ["mqtt:{host},password={password}"]',
    "password = {password}",
    "mqtt_password: '{password}'",
    "camera-password={password}",
    "web_token={password} and more",
    '{{"token": "{password}", "x": 1}}',
    "Authorization: Basic {password}",
    "authorization={password}",
]
PATH_TEMPLATES = [
    "/home/{user}/{password}/x: no such file",
    'File "/home/{user}/{password}/x.py", line 3',
    "jsonl:/media/{user}/{password} x.jsonl: cannot be written (No space left on device)",
]


@pytest.mark.parametrize(("templates", "punctuation"), [(TEMPLATES, " -"), (PATH_TEMPLATES, "")])
def test_no_password_and_no_user_survives_in_any_place(templates, punctuation):
    rng = random.Random(0)
    characters = f"{string.ascii_letters}{string.digits}@:/?#&=%+.,;!$()[]{{}}<>*~^|äß{punctuation}"
    for _ in range(500):
        password = f"Zq{''.join(rng.choices(characters, k=rng.randint(1, 12)))}Xj"
        user = f"Wk{''.join(rng.choices(string.ascii_lowercase, k=5))}"
        values = {
            "password": password,
            "user": user,
            "host": "10.1.2.3",
            "scheme": rng.choice(["rtsp", "HTTPS", "mqtt"]),
        }
        line = rng.choice(templates).format(**values)
        text = scrub(line, NOBODY)
        assert not [part for part in ("Zq", "Xj", user, "10.1.2.3") if part in text], line
