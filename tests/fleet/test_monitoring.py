"""fleet/monitoring: the programs that read its files accept them, and every query of the dashboards returns data."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest

from tests.support.broker import MosquittoBroker, Subscriber, free_port, needs_mosquitto
from tests.support.commands import EDGE
from tests.support.fleet import PLAYBOOKS, ansible
from tests.support.paths import ROOT

MONITORING = ROOT / "fleet" / "monitoring"
RULES = sorted((MONITORING / "prometheus" / "rules").glob("*.yml"))
RULE_TESTS = sorted((ROOT / "tests" / "fleet").glob("rules_*.yml"))
DASHBOARDS = sorted((MONITORING / "grafana" / "dashboards").glob("*.json"))
TOKEN = "0123456789abcdef0123456789abcdef"
PAGE = ROOT / "docs" / "monitoring.md"
RASPBERRY_PI_ONLY = {"fleet-health: Throttled", "fleet-health: Temperature"}  # the panels
START_SECONDS = 300  # for Prometheus and twenty runs on a busy machine: only a failing test waits as long
SOURCE = "synthetic:size=320x240,fps=3"  # small images, so that twenty runs fit one machine
SCRAPED_BOARDS = {f"kiosk{number}": "fair" if number > 7 else "shop" for number in range(1, 11)}  # and their sites
PUBLISHING_BOARDS = [f"kiosk_{number}" for number in range(1, 21)]
needs_prometheus = pytest.mark.skipif(
    not (shutil.which("promtool") and shutil.which("prometheus")),
    reason="promtool is not installed: 'sudo apt install prometheus'",
)


MONITORING_PROGRAMS = ROOT / ".venv-monitoring" / "bin"
needs_monitoring_programs = pytest.mark.skipif(
    not (MONITORING_PROGRAMS / "mqtt-exporter").exists(),
    reason="python3 -m venv .venv-monitoring && .venv-monitoring/bin/pip install --group monitoring",
)


def promtool(*arguments):
    return subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, check=False)


def queries():
    """Return (title of the panel, query for all sites) of all dashboards."""
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel["targets"]:
                yield f"{path.stem}: {panel['title']}", target["expr"].replace("$site", ".*")


# --- files --------------------------------------------------------------------------------------------------------


@needs_prometheus
def test_prometheus_accepts_the_configuration(tmp_path):
    shutil.copytree(MONITORING / "prometheus", tmp_path, dirs_exist_ok=True)
    (tmp_path / "emotion-edge-token").write_text(TOKEN)
    result = promtool("check", "config", tmp_path / "prometheus.yml")
    assert (result.returncode, result.stdout.count("rules found")) == (0, len(RULES)), result


@needs_prometheus
@pytest.mark.slow
@pytest.mark.parametrize("path", RULE_TESTS, ids=lambda path: path.stem)
def test_alerts_fire_when_they_should(path):
    result = promtool("test", "rules", path)
    assert result.returncode == 0, result.stdout + result.stderr


def test_each_alert_is_expected_and_its_absence_is_tested():
    alerts = {name for path in RULES for name in re.findall(r"alert: (\w+)", path.read_text())}
    tests = "".join(path.read_text() for path in RULE_TESTS)
    expected = set(re.findall(r"alertname: (\w+)\n +exp_alerts", tests))
    absent = set(re.findall(r"\{eval_time: \w+, alertname: (\w+)\}", tests))
    assert alerts
    assert (expected, absent) == (alerts, alerts)


def test_the_disk_alert_fires_while_a_release_still_fits():
    page = (ROOT / "docs" / "deployment.md").read_text()
    ((bundle, installed),) = re.findall(r"\| bundle for arm64, Python 3.13 \| (\d+) MB, installed (\d+) MB:", page)
    (reserved,) = re.findall(r"^reserved_bytes=(\d+)", (ROOT / "scripts" / "install.sh").read_text(), re.MULTILINE)
    needed = 2 * int(bundle) + int(installed) + int(reserved) / 1e6  # as it was sent, and root's copy
    rules = (MONITORING / "prometheus" / "rules" / "boards.yml").read_text()
    (limit,) = re.findall(r"emotion_edge_disk_free_bytes\) < (\d+)e6\n", rules)
    assert needed < int(limit) < 1.1 * needed
    assert f"needs {needed:.0f} MB while" in page
    assert rules.count(f"needs about {needed:.0f} MB") == 2


@pytest.mark.parametrize("page", ["fleet", "monitoring"])
def test_a_user_is_deleted_from_both_files(page):
    """From one alone, the broker keeps it, or the next merge of the files brings it back."""
    text = (ROOT / "docs" / f"{page}.md").read_text()
    deleted = set(re.findall(r"mosquitto_passwd -D (\S+)", text))
    assert deleted == {"out/emotion-edge.passwd", "/etc/mosquitto/emotion-edge.passwd"} or "both files of users" in text


@pytest.mark.parametrize("path", [*RULES, *DASHBOARDS], ids=lambda path: path.stem)
def test_a_board_is_known_by_its_site_and_name(path):
    groupings = re.findall(r"(?:by|on|ignoring) \(([^)]*)\)", path.read_text())
    assert groupings
    assert [names for names in groupings if "instance" in names and "site" not in names] == []


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_panels_are_described_and_do_not_overlap(path):
    dashboard = json.loads(path.read_text())
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        assert panel["description"].endswith(".")
        taken |= cells
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)


def test_the_dashboards_name_the_provisioned_source():
    source = (MONITORING / "grafana/provisioning/datasources/prometheus.yml").read_text()
    provisioned = re.findall(r"uid: ([\w-]+)", source)
    for path in DASHBOARDS:
        named = set(re.findall(r'"type": "prometheus",\s+"uid": "([\w-]+)"', path.read_text()))
        assert named == set(provisioned), path


def test_the_containers_have_the_files_and_settings_of_the_page():
    text = (MONITORING / "compose.yml").read_text()
    mounted = re.findall(r"[\"\s]\./([\w./-]+):/", text)
    assert mounted
    assert [path for path in mounted if not (MONITORING / path).exists()] == []
    settings = dict(re.findall(r"^      ((?:PROMETHEUS|MQTT)_\w+): \"?([^\"\n]+)", text, re.MULTILINE))
    page = dict(re.findall(r"^    ((?:PROMETHEUS|MQTT)_\w+)=(.+)$", PAGE.read_text(), re.MULTILINE))
    assert {**settings, "MQTT_ADDRESS": ""} == {**page, "MQTT_ADDRESS": ""}


@needs_monitoring_programs
@pytest.mark.slow
@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_dashboards_have_the_keys_that_grafana_reads(path):
    program = (
        "import json, sys; from grafana_foundation_sdk.models.dashboard import Dashboard; "
        "dashboard = Dashboard.from_json(json.load(open(sys.argv[1]))); print(len(dashboard.panels))"
    )
    command = [MONITORING_PROGRAMS / "python", "-c", program, path]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.stderr, int(result.stdout)) == ("", len(json.loads(path.read_text())["panels"]))


@pytest.mark.scripts
@pytest.mark.slow
@pytest.mark.skipif(ansible("ansible-playbook") is None, reason="python3 -m venv .venv-fleet, see docs/fleet.md")
def test_targets_and_users_come_from_the_inventory(tmp_path):
    secrets = {"mqtt-user": "{{ inventory_hostname }}", "mqtt-password": "secret of {{ inventory_hostname }}"}
    shop = {"kiosk1": {"ansible_host": "10.0.0.1"}, "kiosk2": {"emotion_edge_scrape": False}}
    groups = {
        "hosts": {"lab1": {"emotion_edge_web_port": 9000, "emotion_edge_site": "lab"}},
        "children": {"shop": {"hosts": shop, "vars": {"emotion_edge_release": "1.0", "emotion_edge_secrets": secrets}}},
    }
    inventory, out = tmp_path / "hosts.json", tmp_path / "out"
    inventory.write_text(json.dumps({"emotion_edge": groups}))

    def play(*arguments):
        command = [ansible("ansible-playbook"), "-i", inventory, PLAYBOOKS / "monitoring.yml", *arguments]
        command += ["-e", f"emotion_edge_monitoring={out}"]
        result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=PLAYBOOKS)
        assert result.returncode == 0, result.stdout + result.stderr
        assert "secret of" not in result.stdout
        return "changed=0" not in result.stdout, (out / "emotion-edge.passwd").read_text()

    changed, users = play()
    assert json.loads((out / "targets" / "boards.json").read_text()) == [
        {"targets": ["10.0.0.1:8080"], "labels": {"instance": "kiosk1", "site": "shop", "release": "1.0"}},
        {"targets": ["lab1:9000"], "labels": {"instance": "lab1", "site": "lab"}},
    ]
    assert changed
    assert [line.partition(":")[0] for line in users.splitlines()] == ["kiosk1", "kiosk2"]
    assert "secret of" not in users
    assert play() == (False, users), "a second run changes nothing"
    _, renewed = play("-e", json.dumps({"emotion_edge_mqtt_renew": ["kiosk2"]}))
    assert renewed.splitlines()[0] == users.splitlines()[0]
    assert renewed.splitlines()[1] != users.splitlines()[1]
    assert not (out / "new.passwd").exists()


def test_users_of_a_new_board_keep_the_others(tmp_path):
    """The command of the page merges what monitoring.yml has written with the users that the broker has."""
    (program,) = re.findall(r"awk -F: '(.+)' out/emotion-edge.passwd", PAGE.read_text())
    boards, broker = tmp_path / "boards", tmp_path / "broker"
    boards.write_text("kiosk1:renewed\nkiosk10:new\n")
    broker.write_text("exporter:1\nkiosk1:old\nkiosk2:2\nreader:3\n")
    merged = subprocess.run(["awk", "-F:", program, boards, broker], capture_output=True, text=True, check=True).stdout
    assert sorted(merged.splitlines()) == ["exporter:1", "kiosk10:new", "kiosk1:renewed", "kiosk2:2", "reader:3"]


def test_documented_topics_are_those_of_the_access_list():
    pages = [PAGE, ROOT / "docs" / "history.md", ROOT / "docs" / "fleet.md"]
    pages.append(PLAYBOOKS / "inventory" / "group_vars" / "emotion_edge" / "main.yml")
    assert "emotion-edge/+/%u/#" in (MONITORING / "mosquitto" / "emotion-edge.acl").read_text()
    for page in pages:
        topics = re.findall(r"topic=([^,\"]+)", page.read_text())
        assert topics, page
        assert [
            topic for topic in topics if not re.fullmatch(r"emotion-edge/\w+/{{ inventory_hostname }}", topic)
        ] == []


def password_of(user):
    return f"secret-of-{user}"


def fleet_broker(folder, *users):
    """Return a real Mosquitto with the access list of fleet/monitoring and these users."""
    passwords = folder / "passwd"
    passwords.write_text("".join(f"{user}:{password_of(user)}\n" for user in users))
    subprocess.run(["mosquitto_passwd", "-U", passwords], check=True)
    passwords.chmod(0o644)
    access = MONITORING / "mosquitto" / "emotion-edge.acl"
    return MosquittoBroker(folder, f"password_file {passwords}", "allow_anonymous false", f"acl_file {access}")


def publish(port, user, topic, text, *options, password=None):
    command = ["mosquitto_pub", "-p", str(port), "-u", user, "-P", password or password_of(user), "-t", topic]
    subprocess.run([*command, "-m", text, *options], check=False, stderr=subprocess.DEVNULL)


@needs_mosquitto
@pytest.mark.slow
def test_a_board_publishes_only_below_its_own_name(tmp_path):
    with fleet_broker(tmp_path, "kiosk1", "kiosk2", "exporter", "reader") as broker:

        def retain(user, topic, **password):
            publish(broker.port, user, topic, topic, "-r", **password)

        retain("kiosk1", "emotion-edge/shop/kiosk1/metrics")
        retain("kiosk1", "emotion-edge/shop/kiosk2/metrics")
        retain("kiosk1", "other")
        retain("kiosk2", "emotion-edge/shop/kiosk2/state")
        retain("kiosk2", "emotion-edge/shop/kiosk2/availability", password="wrong")

        def read(user):
            command = ["mosquitto_sub", "-p", str(broker.port), "-u", user, "-P", password_of(user)]
            command += ["-t", "#", "-t", "+/+/+/+", "-W", "1"]
            return set(subprocess.run(command, capture_output=True, text=True, check=False).stdout.split())

        published = {"emotion-edge/shop/kiosk1/metrics", "emotion-edge/shop/kiosk2/state"}
        assert read("reader") == published
        assert read("exporter") == {"emotion-edge/shop/kiosk1/metrics"}
        assert read("kiosk1") == set()


# --- a real Prometheus that scrapes real runs ----------------------------------------------------------------------


class Prometheus:
    """Prometheus on this machine, with the configuration of fleet/monitoring, faster."""

    def __init__(self, folder, targets, exporter_port=9000):
        shutil.copytree(MONITORING / "prometheus", folder, dirs_exist_ok=True)
        (folder / "targets").mkdir()
        (folder / "targets" / "boards.json").write_text(json.dumps(targets))
        (folder / "emotion-edge-token").write_text(TOKEN)
        for path in (folder / "prometheus.yml", *(folder / "rules").glob("*.yml")):
            text = re.sub(r"(interval: )\d+[sm]", r"\g<1>5s", path.read_text())
            path.write_text(text.replace("127.0.0.1:9000", f"127.0.0.1:{exporter_port}"))
        self._port = free_port()
        self._command = [
            "prometheus",
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self._port}",
            "--log.level=error",
        ]

    def __enter__(self):
        self._process = subprocess.Popen(self._command)
        return self

    def __exit__(self, *_):
        self._process.terminate()
        self._process.wait()

    def query(self, expression):
        """Return the series of `expression` now; none before Prometheus has started."""
        address = f"http://127.0.0.1:{self._port}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
        with contextlib.suppress(ConnectionError, urllib.error.URLError), urllib.request.urlopen(address) as answer:
            return json.load(answer)["data"]["result"]
        return []


@contextlib.contextmanager
def running_board(sink, user=""):
    """A real run of the synthetic camera; yields its process. `user`: of the broker."""
    secrets = {"EMOTION_EDGE_MQTT_USER": user, "EMOTION_EDGE_MQTT_PASSWORD": password_of(user)} if user else {}
    command = [EDGE, "run", SOURCE, "--sink", sink]
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **secrets}, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def wait_for_data(prometheus, wanted, each_time=lambda: None):
    """Wait until every query of `wanted`, title and query, returns data; fail with those that do not."""
    end = time.monotonic() + START_SECONDS
    while wanted and time.monotonic() < end:
        each_time()
        wanted = {title: query for title, query in wanted.items() if not prometheus.query(query)}
        time.sleep(0.2)
    assert wanted == {}


@needs_prometheus
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_query_of_the_dashboards_returns_data(tmp_path):
    pytest.importorskip("tornado", reason="pip install 'emotion-edge[web]'")
    pytest.importorskip("prometheus_client", reason="pip install 'emotion-edge[web]'")
    token = tmp_path / "token"
    token.write_text(TOKEN)
    targets = []
    with contextlib.ExitStack() as stack:
        for name, site in SCRAPED_BOARDS.items():
            port = free_port()
            labels = {"instance": name, "site": site, "release": "9.9.9"}
            targets.append({"targets": [f"127.0.0.1:{port}"], "labels": labels})
            stack.enter_context(running_board(f"web:{port},token-file={token}"))
        prometheus = stack.enter_context(Prometheus(tmp_path / "prometheus", targets))
        wanted = {title: query for title, query in queries() if title not in RASPBERRY_PI_ONLY}
        assert len(wanted) > 15
        boards = len(SCRAPED_BOARDS)
        wanted["boards"] = f"count(emotion_edge_frames_total > 0) == {boards}"
        wanted["sites"] = "count(count by (site) (emotion_edge_frames_total)) == 2"
        wanted["alerts"] = f'count(ALERTS{{alertname="EmotionEdgeReleaseDiffers"}}) == {boards}'
        wait_for_data(prometheus, wanted)


@pytest.fixture
def exporter(tmp_path):
    """Start mqtt-exporter as the page says: start(port of the broker) returns its own port."""
    with contextlib.ExitStack() as stack:

        def start(broker_port):
            password, port = tmp_path / "exporter-password", free_port()
            password.write_text(password_of("exporter"))
            environment = {
                **os.environ,
                **dict(re.findall(r"^    ((?:PROMETHEUS|MQTT)_\w+)=(.+)$", PAGE.read_text(), re.MULTILINE)),
                "PROMETHEUS_PORT": str(port),
                "MQTT_ADDRESS": "127.0.0.1",
                "MQTT_PORT": str(broker_port),
                "MQTT_ENABLE_TLS": "False",
                "MQTT_PASSWORD_FILE": str(password),
            }
            command = [MONITORING_PROGRAMS / "mqtt-exporter"]
            process = stack.enter_context(subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL))
            stack.callback(process.terminate)
            return port

        yield start


@needs_prometheus
@needs_mosquitto
@needs_monitoring_programs
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_figures_by_mqtt_have_the_names_of_scraped_ones(tmp_path, exporter):
    pytest.importorskip("paho.mqtt.enums", reason="pip install 'emotion-edge[mqtt]'")
    with contextlib.ExitStack() as stack:
        broker = stack.enter_context(fleet_broker(tmp_path, "exporter", "reader", "pi", *PUBLISHING_BOARDS))
        reader = stack.enter_context(Subscriber(broker.port, "reader", password_of("reader")))
        prometheus = Prometheus(tmp_path / "prometheus", [], exporter(broker.port))
        runs = [
            stack.enter_context(running_board(f"mqtt:127.0.0.1:{broker.port},topic=emotion-edge/remote/{name}", name))
            for name in PUBLISHING_BOARDS
        ]
        stack.enter_context(prometheus)
        pi = {"cpu_temperature_celsius": 54.5, "throttled": 1, "frames_total": 3}  # only a Raspberry Pi has these
        boards, labels = len(PUBLISHING_BOARDS), '{job="emotion-edge-mqtt", site="remote", instance=~"kiosk_[0-9]+"}'
        conditions = {
            "frames_total": "> 0",
            "uncertain_faces_total": "",
            "process_fps": "",
            "face_width_pixels_sum": "> 0",
            "face_brightness_ratio_sum": "> 0",
        }
        wanted = {
            "labels": f"count(emotion_edge_labeled_faces_total{labels}) == {7 * boards}",
            "start": f"count(process_start_time_seconds{labels}) == {boards}",
            **{title: query for title, query in queries() if title in RASPBERRY_PI_ONLY},
        }
        for name, condition in conditions.items():
            wanted[name] = f"count(emotion_edge_{name}{labels} {condition}) == {boards}"
        wait_for_data(
            prometheus,
            wanted,
            each_time=lambda: publish(broker.port, "pi", "emotion-edge/remote/pi/metrics", json.dumps(pi)),
        )
        runs[0].kill()
        for number, name in enumerate(PUBLISHING_BOARDS):
            reader.wait_for(f"/{name}/state", '"faces"')
            reader.wait_for(f"/{name}/availability", "online" if number else "offline")
