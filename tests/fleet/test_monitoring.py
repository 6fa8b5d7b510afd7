"""fleet/monitoring: the programs that read its files accept them, and every query of the dashboards returns data."""

import contextlib
import json
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest

from tests.support.broker import MosquittoBroker, free_port, needs_mosquitto
from tests.support.commands import EDGE
from tests.support.paths import ROOT

MONITORING = ROOT / "fleet" / "monitoring"
RULES = sorted((MONITORING / "prometheus" / "rules").glob("*.yml"))
RULE_TESTS = sorted((ROOT / "tests" / "fleet").glob("rules_*.yml"))
DASHBOARDS = sorted((MONITORING / "grafana" / "dashboards").glob("*.json"))
TOKEN = "0123456789abcdef0123456789abcdef"
START_SECONDS = 120  # for Prometheus and the runs on a busy machine
needs_prometheus = pytest.mark.skipif(
    not (shutil.which("promtool") and shutil.which("prometheus")),
    reason="promtool is not installed: 'sudo apt install prometheus'",
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


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_panels_are_described_and_do_not_overlap(path):
    dashboard = json.loads(path.read_text())
    taken = set()
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
    for path in DASHBOARDS:
        assert {uid for uid in re.findall(r'"uid": "([\w-]+)"', path.read_text()) if "prometheus" in uid} == {
            re.search(r"uid: ([\w-]+)", source)[1]
        }


@needs_mosquitto
@pytest.mark.slow
def test_a_board_publishes_only_below_its_own_name(tmp_path):
    users = tmp_path / "passwd"
    users.write_text("kiosk1:one\nkiosk2:two\nexporter:three\nreader:four\n")
    subprocess.run(["mosquitto_passwd", "-U", users], check=True)
    users.chmod(0o644)
    lines = [f"password_file {users}", "allow_anonymous false", f"acl_file {MONITORING / 'mosquitto/emotion-edge.acl'}"]
    with MosquittoBroker(tmp_path, *lines) as broker:

        def publish(user, password, topic):
            subprocess.run(
                ["mosquitto_pub", "-p", str(broker.port), "-u", user, "-P", password, "-t", topic, "-m", topic, "-r"],
                check=False,
            )

        publish("kiosk1", "one", "emotion-edge/shop/kiosk1/metrics")
        publish("kiosk1", "one", "emotion-edge/shop/kiosk2/metrics")
        publish("kiosk1", "one", "other")
        publish("kiosk2", "two", "emotion-edge/shop/kiosk2/state")
        publish("kiosk2", "wrong", "emotion-edge/shop/kiosk2/availability")

        def read(user, password):
            command = [
                "mosquitto_sub",
                "-p",
                str(broker.port),
                "-u",
                user,
                "-P",
                password,
                "-t",
                "#",
                "-t",
                "+/+/+/+",
                "-W",
                "1",
            ]
            return set(subprocess.run(command, capture_output=True, text=True, check=False).stdout.split())

        published = {"emotion-edge/shop/kiosk1/metrics", "emotion-edge/shop/kiosk2/state"}
        assert read("reader", "four") == published
        assert read("exporter", "three") == {"emotion-edge/shop/kiosk1/metrics"}
        assert read("kiosk1", "one") == set()


# --- a real Prometheus that scrapes real runs ----------------------------------------------------------------------


class Prometheus:
    """Prometheus on this machine, with the configuration of fleet/monitoring, faster."""

    def __init__(self, folder, targets):
        shutil.copytree(MONITORING / "prometheus", folder, dirs_exist_ok=True)
        (folder / "targets").mkdir()
        (folder / "targets" / "boards.json").write_text(json.dumps(targets))
        (folder / "emotion-edge-token").write_text(TOKEN)
        for path in (folder / "prometheus.yml", *(folder / "rules").glob("*.yml")):
            path.write_text(re.sub(r"(interval: )\d+[sm]", r"\g<1>5s", path.read_text()))
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
def running_board(name, port, folder):
    """A real run of the synthetic camera, at a few frames per second, with the sink web."""
    token = folder / f"{name}.token"
    token.write_text(TOKEN)
    command = [
        EDGE,
        "run",
        "synthetic",
        "--max-fps",
        "4",
        "--sink",
        f"web:{port},token-file={token}",
    ]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


@needs_prometheus
@pytest.mark.slow
def test_every_query_of_the_dashboards_returns_data(tmp_path):
    pytest.importorskip("tornado", reason="pip install 'emotion-edge[web]'")
    pytest.importorskip("prometheus_client", reason="pip install 'emotion-edge[web]'")
    sites = {"kiosk1": "shop", "kiosk2": "shop", "kiosk3": "fair"}
    ports = {name: free_port() for name in sites}
    targets = [
        {"targets": [f"127.0.0.1:{ports[name]}"], "labels": {"instance": name, "site": site, "release": "9.9.9"}}
        for name, site in sites.items()
    ]
    with contextlib.ExitStack() as stack:
        for name, port in ports.items():
            stack.enter_context(running_board(name, port, tmp_path))
        prometheus = stack.enter_context(Prometheus(tmp_path / "prometheus", targets))
        # Only a Raspberry Pi reports these.
        missing = {"fleet-health: Throttled", "fleet-health: Temperature"}
        open_queries = {title: query for title, query in queries() if title not in missing}
        assert len(open_queries) > 15
        open_queries["boards"] = f"count(emotion_edge_frames_total) == {len(sites)}"
        open_queries["alerts"] = f'count(ALERTS{{alertname="EmotionEdgeReleaseDiffers"}}) == {len(sites)}'

        end = time.monotonic() + START_SECONDS
        while open_queries and time.monotonic() < end:
            open_queries = {title: query for title, query in open_queries.items() if not prometheus.query(query)}
            time.sleep(0.2)
        assert open_queries == {}
