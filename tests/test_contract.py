"""docs/contract.md and docs/schemas describe the real output: every key of it, and nothing that it lacks.

The published schemas allow further keys in most objects, because consumers have to ignore them. Here each schema is
closed: a key of our own output that no schema describes is an error.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from referencing import Registry, Resource
from typer.testing import CliRunner

from edge import app, cli
from edge.capture import registry as cameras
from edge.config.models import shipped_model
from edge.config.settings import RunSettings
from edge.diagnostics import benchmark, stage_recorder
from edge.diagnostics.single_stream import StoppingRule
from edge.errors import EmotionEdgeError
from edge.inference import model_file
from edge.pipeline import run as run_loop
from edge.system import machine
from edge.system.stop_signals import StopSignals
from edge.system.systemd import STATUS_SECONDS, SystemdManager, SystemdNotifier
from edge.types import FrameResult, RunInfo
from tests.support.broker import BASE_TOPIC, MosquittoBroker, Subscriber, needs_mosquitto, sink_argument
from tests.support.commands import run_edge
from tests.support.day_logs import segment, write_busy_day, write_log
from tests.support.fakes import FakeClock, RecordingSink
from tests.support.paths import ROOT

CONTRACT = ROOT / "docs" / "contract.md"
SCHEMAS = ROOT / "docs" / "schemas"
FRAMES = 20  # of a run: the face of the synthetic camera is there from the first one on
THROTTLING = {"now": ["throttled"], "since_boot": ["throttled", "under-voltage"]}


# --- the page and the schemas -------------------------------------------------------------------------------------


def table(heading: str, first_column: str) -> list[dict[str, str]]:
    """Return the rows, column -> text, of the table below `heading` whose first column is `first_column`."""
    section = re.split(r"^## ", CONTRACT.read_text(), flags=re.MULTILINE)
    (text,) = (each for each in section if each.startswith(f"{heading}\n"))
    start = text.index(f"| {first_column} |")
    lines = text[start:].split("\n\n")[0].splitlines()
    names, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [dict(zip(names, row, strict=True)) for row in rows]


def code(text: str) -> list[str]:
    """Return what stands between backticks in `text`."""
    return re.findall(r"`([^`]+)`", text)


def names(heading: str, first_column: str) -> list[str]:
    """Return the code in the first column of a table."""
    return [code(row[first_column])[0] for row in table(heading, first_column)]


def linked_schema(text: str) -> str:
    """Return the file name of the first schema that `text` links to."""
    links = re.findall(r"\(schemas/([a-z_]+\.json)\)", text)
    return str(links[0])


@cache
def published_schemas() -> dict[str, Any]:
    return {path.name: json.loads(path.read_text()) for path in SCHEMAS.glob("*.json")}


def closed(schema: Any) -> Any:
    """Return `schema` without permission for keys that it does not describe."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {key: closed(value) for key, value in schema.items()}
    return {"additionalProperties": False, **inner} if "properties" in schema else inner


def errors(name: str, document: Any, schemas: dict[str, Any]) -> list[str]:
    """Return how `document` violates the schema `name` of `schemas`."""
    registry: Registry[Any] = Registry().with_resources(
        (each, Resource.from_contents(schema)) for each, schema in schemas.items()
    )
    validator = Draft202012Validator({"$ref": name}, registry=registry)
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(document)]


@cache
def closed_schemas() -> dict[str, Any]:
    return {name: closed(schema) for name, schema in published_schemas().items()}


def check(name: str, *documents: Any) -> None:
    """Assert that each of `documents` has the keys of the schema `name`, and no others; there must be one at least."""
    assert documents
    for document in documents:
        assert errors(name, document, closed_schemas()) == [], document


def read_lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_schemas_are_valid_and_all_are_on_the_page():
    for schema in published_schemas().values():
        Draft202012Validator.check_schema(schema)
    assert set(re.findall(r"\(schemas/([^)]+)\)", CONTRACT.read_text())) == set(published_schemas())


def test_described_keys_are_required_but_for_few():
    def objects(schema: Any) -> Iterable[dict[str, Any]]:
        if isinstance(schema, dict) and "properties" in schema:
            yield schema
        for each in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
            yield from objects(each)

    optional = {
        "frame.json": {"source_name"},
        "mqtt_results.json": {"source_name"},
        "model_card.json": {
            "crop_padding",
            "temperature",
            "class_frequencies",
            "adapted_temperature",
            "default_prior",
            "min_confidence",
            "metrics",
            "data",
            "version",
            "color",
        },
        "trainer_evaluate.json": {
            *("scenes", "corruptions", "ferplus_majority", "flip_tta", "unseen", "compare_to"),
        },
    }
    for name, schema in published_schemas().items():
        for each in objects(schema):
            required, described = set(each["required"]), set(each["properties"])
            assert required <= described, name
            assert described - required in (set(), optional.get(name, set())), name


def test_new_keys_are_allowed_except_in_fixed_formats(frames):
    line = frames[0] | {"new_key": 1}
    assert errors("frame.json", line, published_schemas()) == []
    assert errors("frame.json", line, closed_schemas())
    fixed = {name for name, schema in published_schemas().items() if schema.get("additionalProperties") is False}
    assert fixed == {"daily_log.json", "model_card.json"}


# --- a run --------------------------------------------------------------------------------------------------------


def edge(*arguments: object, command: Any = cli.app) -> str:
    """Run a command in this process, which must succeed; return its stdout."""
    result = CliRunner().invoke(command, [str(each) for each in arguments])
    assert result.exit_code == 0, result.output
    return str(result.stdout)


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory) -> Path:
    """A folder with lines.jsonl, faces.csv, and daily logs in log/, of one run of the live synthetic camera."""
    folder: Path = tmp_path_factory.mktemp("run")
    edge(
        *("run", "synthetic", "--max-frames", FRAMES),
        *("--sink", f"jsonl:{folder / 'lines.jsonl'}", "--sink", f"csv:{folder / 'faces.csv'}"),
        *("--sink", f"daylog:{folder / 'log'}"),
    )
    return folder


@pytest.fixture(scope="module")
def frames(run_folder) -> list[Any]:
    """The lines of `jsonl`."""
    return read_lines(run_folder / "lines.jsonl")


@pytest.fixture(scope="module")
def run_info(classifier) -> Iterator[RunInfo]:
    with closing(app.make_image_worker(RunSettings())) as worker:
        yield app.make_run_info(RunSettings(), (), classifier, worker, StopSignals(), live=True)


@pytest.fixture(scope="module")
def results(classifier) -> list[FrameResult]:
    """Results of the loop."""
    sink = RecordingSink()
    with closing(cameras.frames("synthetic:fast")) as captured:
        run_loop(app.make_processor(RunSettings(), classifier), captured, [sink], max_frames=FRAMES)
    return sink.results


def test_jsonl(frames):
    assert len(frames) == FRAMES
    check("frame.json", *frames)
    face = next(face for line in frames for face in line["faces"])
    assert list(face) == names("Documents", "key")
    _, card = model_file.load(shipped_model())
    assert tuple(face["probabilities"]) == card.labels


def test_table_of_faces(run_folder):
    header, *lines = (run_folder / "faces.csv").read_text().splitlines()
    _, card = model_file.load(shipped_model())
    fixed = [name for row in table("Table of faces", "column") for name in code(row["column"])]
    assert header.split(",") == [*fixed, *card.labels]
    rows = list(csv.DictReader([header, *lines]))
    probability = published_schemas()["face_row.json"]["additionalProperties"]
    check("face_row.json", *rows)
    assert all(re.fullmatch(probability["pattern"], row[label]) for row in rows for label in card.labels)


def test_summary_of_a_file(run_folder):
    for name in ("faces.csv", "lines.jsonl"):
        check("edge_summary_file.json", json.loads(edge("summary", run_folder / name, "--json")))


def test_day_log(run_folder):
    (path,) = (run_folder / "log").iterdir()
    assert re.fullmatch(r"emotions-\d{4}-\d{2}-\d{2}\.csv", path.name)
    header, *lines = path.read_text().splitlines()
    assert header.split(",") == names("Day log", "column")
    check("daily_log.json", *csv.DictReader([header, *lines]))


def test_day_log_of_an_uncertain_face(tmp_path):
    path = write_log(tmp_path, segment("09:00:00", 0, None)._replace(run="0a1b2c"))
    (line,) = csv.DictReader(path.read_text().splitlines())
    check("daily_log.json", line)
    assert line["label"] == ""


# --- commands -----------------------------------------------------------------------------------------------------


def test_info_and_model_card():
    check("edge_info.json", json.loads(edge("info", "--json")))
    _, card = model_file.split_card(shipped_model().read_bytes())
    assert card
    check("model_card.json", json.loads(card))


def test_doctor():
    result = CliRunner().invoke(cli.app, ["doctor", "--json", "--source", "synthetic"])
    assert result.exit_code in (0, 1), "1: a check of this machine failed"
    check("edge_doctor.json", json.loads(result.stdout))


def test_doctor_on_a_raspberry_pi(monkeypatch):
    monkeypatch.setattr(machine, "throttling", lambda *_: THROTTLING)
    monkeypatch.setattr(machine, "cpu_temperature", lambda *_: 54.3)
    report = json.loads(CliRunner().invoke(cli.app, ["doctor", "--json"]).stdout)
    assert report["machine"]["throttling"] == THROTTLING
    check("edge_doctor.json", report)


def test_benchmark(tmp_path, monkeypatch):
    monkeypatch.setattr(stage_recorder, "WARM_UP_SECONDS", 0.1)
    monkeypatch.setattr(stage_recorder, "WARM_UP_FRAMES", 2)
    monkeypatch.setattr(benchmark, "QUICK_RULE", StoppingRule(5, 0.01))
    monkeypatch.setattr(machine, "throttling", lambda *_: THROTTLING)
    live, fast = tmp_path / "live.json", tmp_path / "fast.json"
    options = ("--duration", 0.2, "--quick", "--json")
    edge("benchmark", "synthetic", *options, live)
    edge("benchmark", "synthetic:fast", *options, fast, "--compare", live)
    reports = [json.loads(path.read_text()) for path in (live, fast)]
    assert (reports[0]["comparison"], reports[1]["loop"]["end_to_end_ms"]) == (None, None)
    assert reports[0]["loop"]["end_to_end_ms"]["p50"] > 0
    assert reports[1]["comparison"]["metrics"]
    check("edge_benchmark.json", *reports)


def test_benchmark_against_another_model(tmp_path, monkeypatch):
    monkeypatch.setattr(stage_recorder, "WARM_UP_SECONDS", 0.1)
    monkeypatch.setattr(stage_recorder, "WARM_UP_FRAMES", 2)
    monkeypatch.setattr(benchmark, "QUICK_RULE", StoppingRule(5, 0.01))
    path = tmp_path / "report.json"
    edge("benchmark", "synthetic:fast", "--duration", 0.1, "--quick", "--json", path, "--compare", shipped_model())
    report = json.loads(path.read_text())
    assert report["comparison"]["method"] == "interleaved"
    check("edge_benchmark.json", report)


def test_summary(tmp_path):
    path = write_busy_day(tmp_path)
    path.write_text(path.read_text() + "damaged\n")
    summary = json.loads(edge("summary", tmp_path, "--json"))
    assert (len(summary["damaged_lines"]), len(summary["hours"])) == (1, 3)
    check("edge_summary.json", summary)


def test_summary_of_a_day_without_faces(tmp_path):
    write_log(tmp_path)
    summary = json.loads(edge("summary", tmp_path, "--json"))
    assert (summary["faces"], summary["begin"]) == (0, None)
    check("edge_summary.json", summary)


@pytest.mark.keras
def test_evaluate(tmp_path):
    from tests.support import faces
    from trainer import cli as trainer_cli

    data = faces.tiny(training=1, public=1, private=0)
    data.faces[data.splits.tolist().index("PublicTest")] = data.faces[data.splits.tolist().index("Training")]
    table_file = faces.write_csv(tmp_path / "fer2013.csv", data)
    votes = faces.write_lines(tmp_path / "fer2013new.csv", faces.ferplus_lines(data))
    other = tmp_path / "other.tflite"
    other.write_bytes(faces.SHIPPED.read_bytes())
    short, full = tmp_path / "short.json", tmp_path / "full.json"
    arguments = ("evaluate", faces.SHIPPED, "--data", table_file)
    edge(*arguments, "--json", short, command=trainer_cli.app)
    edge(
        *(*arguments, "--json", full, "--ferplus", votes, "--compare-to", other, "--corruptions", "--tta"),
        command=trainer_cli.app,
    )
    reports = [json.loads(path.read_text()) for path in (short, full)]
    assert set(reports[1]) - set(reports[0]) == {"corruptions", "ferplus_majority", "flip_tta", "compare_to"}
    assert reports[0]["unseen"]["n"] == reports[0]["n"] - 1
    check("trainer_evaluate.json", *reports)


def test_evaluate_with_detection(tmp_path):
    from tests.support.scenes import KNOWN, write_scenes
    from trainer import cli as trainer_cli

    path, folder = tmp_path / "result.json", write_scenes(tmp_path / "scenes", KNOWN)
    edge("evaluate", shipped_model(), "--data", folder, "--detect", "--json", path, command=trainer_cli.app)
    report = json.loads(path.read_text())
    assert report["scenes"]["images"] == 5
    check("trainer_evaluate.json", report)


# --- MQTT ---------------------------------------------------------------------------------------------------------


def topic_kind(topic: str) -> str:
    """Return `topic` as the contract writes it."""
    kind = topic.replace(BASE_TOPIC, "BASE")
    return re.sub(r"^homeassistant/device/\w+/", "PREFIX/device/ID/", kind)


def topics() -> dict[str, dict[str, str]]:
    """Return topic -> row of the contract's table."""
    return {code(row["topic"])[0]: row for row in table("MQTT", "topic")}


def check_payload(kind: str, payload: str) -> None:
    described = topics()[kind]["payload"]
    if "schemas/" in described:
        check(linked_schema(described), json.loads(payload))
    elif kind == "BASE/availability":
        assert payload in code(described)


@pytest.mark.parametrize("temperature", [None, 54.3])
def test_mqtt_messages(results, run_info, temperature):
    pytest.importorskip("paho.mqtt.enums", reason="paho-mqtt 2 is not installed: pip install 'emotion-edge[mqtt]'")
    from edge.sinks.mqtt.options import parse
    from edge.sinks.mqtt.publish_queue import PublishQueue

    options = parse(f"nas,topic={BASE_TOPIC},discovery=homeassistant,qos=2")
    queue = PublishQueue(options, run_info, read_temperature=lambda: temperature)
    queue.announce()
    messages = list(iter(queue.next_message, None))
    image_file = replace(results[0], frame=replace(results[0].frame, source_name="portrait.png", is_image=True))
    for result in (*results, image_file):
        queue.add(result)
        messages += iter(queue.next_message, None)
    queue.close()
    messages += [*iter(queue.next_message, None), queue.offline_message()]
    assert {topic_kind(message.topic) for message in messages} == set(topics())
    for message in messages:
        kind, payload = topic_kind(message.topic), message.payload.decode()
        check_payload(kind, payload)
        is_sample = kind == "BASE/results" and not json.loads(payload)["changed"]
        qos = 0 if is_sample or kind == "BASE/metrics" else 2
        assert (message.qos, message.retain) == (qos, topics()[kind]["retained"] == "yes"), payload
    payloads = [json.loads(each.payload) for each in messages if each.topic.endswith("/results")]
    assert {each["changed"] for each in payloads} == {True, False}
    assert [each["source_name"] for each in payloads if "source_name" in each] == ["portrait.png"]


@needs_mosquitto
def test_mqtt_messages_that_a_broker_receives(tmp_path):
    pytest.importorskip("paho.mqtt.enums", reason="paho-mqtt 2 is not installed: pip install 'emotion-edge[mqtt]'")
    with MosquittoBroker(tmp_path) as broker, Subscriber(broker.port) as subscriber:
        sink = f"mqtt:{sink_argument(broker.port, 'discovery=homeassistant')}"
        edge("run", "synthetic:fast", "--max-frames", FRAMES, "--sink", sink)
        subscriber.wait_for("/availability", "offline")
        assert {topic_kind(message.topic) for message in subscriber.received} == set(topics())
        for message in subscriber.received:
            check_payload(topic_kind(message.topic), message.payload)
        with Subscriber(broker.port) as later:
            retained = {kind for kind, row in topics().items() if row["retained"] == "yes"}
            for kind in retained:
                assert later.wait_for(kind.rpartition("/")[2]).retained
            assert {topic_kind(message.topic) for message in later.received} == retained


# --- web ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def client(run_info, monkeypatch):
    """A client of the sink web with all its options, on a board that reports everything."""
    pytest.importorskip("tornado", reason="pip install 'emotion-edge[web]'")
    pytest.importorskip("prometheus_client", reason="pip install 'emotion-edge[web]'")
    from tests.support.web_client import running_sink

    monkeypatch.setattr(machine, "throttling", lambda *_: THROTTLING)
    monkeypatch.setattr(machine, "cpu_temperature", lambda *_: 54.3)
    with running_sink("0,image", run_info) as running:
        yield running


def test_web_responses(client, results, portrait_file):
    rows = {code(row["request"])[0]: row for row in table("Web API", "request")}
    answered: dict[str, Any] = {}
    for result in (None, results[-1]):  # before the first frame, and after it
        if result:
            client.sink.write(result)
        answered |= {
            "GET /healthz": client.get("/healthz"),
            "GET /api/result": client.get("/api/result"),
            "GET /metrics": client.get("/metrics"),
            "POST /api/analyze": client.post_photo(portrait_file.read_bytes(), "image/png"),
        }
        for request, response in answered.items():
            assert str(response.status) in rows[request]["statuses"].split(", ")
            if "schemas/" in rows[request]["response"]:
                check(linked_schema(rows[request]["response"]), response.json)
    assert [len(answered[path].json["faces"]) for path in ("POST /api/analyze", "GET /api/result")] == [1, 1]
    streams = {"GET /api/events", "GET /api/stream.mjpg"}
    assert set(rows) == {*answered, *streams}


def test_web_error(client):
    for response in (client.get("/nothing"), client.post_photo(b"no photo"), client.request("POST", "/api/analyze")):
        assert response.status >= 400
        check("web_error.json", response.json)


def test_web_events(client, results):
    schemas = {code(row["event"])[0]: linked_schema(row["data"]) for row in table("Web API", "event")}
    found: set[str] = set()
    with client.stream("/api/events") as content:
        while not set(schemas) <= found:
            line = content.readline().decode()
            assert line, "the stream has ended"
            if line.startswith("event: "):
                name = line.removeprefix("event: ").strip()
                check(schemas[name], json.loads(content.readline().removeprefix(b"data: ")))
                found.add(name)
                if name == "init":
                    client.sink.write(results[-1])


def test_web_image_stream(client, results):
    from tests.support.web_client import next_image, read_head

    (response,) = (row["response"] for row in table("Web API", "request") if "stream.mjpg" in row["request"])
    stream_type, part_type = code(response)
    with client.stream("/api/stream.mjpg") as content:
        status, headers = read_head(content)
        assert (status, headers["Content-Type"].split(";")[0]) == (200, stream_type)
        client.sink.write(results[-1])
        assert content.readline() == b"--image\r\n"
        assert content.readline().decode().strip() == f"Content-Type: {part_type}"
        assert next_image(content).shape == (480, 640, 3)


def test_metrics(client, results, classifier):
    from prometheus_client.parser import text_string_to_metric_families

    for result in results:
        client.sink.write(result)
    found: dict[str, tuple[str, set[str]]] = {}
    values: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(client.get("/metrics").body.decode()):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        found[name] = (family.type, labels)
        for label in labels:
            values.setdefault(label, set()).update(sample.labels[label] for sample in family.samples)
    rows = table("Prometheus metrics", "name")
    documented = {code(row["name"])[0]: (row["type"], set(code(row["labels"]))) for row in rows}
    further = {name for name in found if name.startswith("process_")} - set(documented)
    assert {name: found[name] for name in set(found) - further} == documented
    assert values["stream"] == {"events", "mjpeg"}
    assert values["label"] == set(classifier.card.labels)
    throttling = set(published_schemas()["machine.json"]["$defs"]["reasons"]["items"]["enum"])
    assert values["reason"] == throttling | {"recent", "unchanged", "waiting"}


# --- the service, exit statuses, environment ----------------------------------------------------------------------


class RecordingManager(SystemdManager):
    """A service manager that keeps the last status."""

    status = ""

    def notify(self, *assignments: str) -> bool:
        for assignment in assignments:
            if assignment.startswith("STATUS="):
                self.status = assignment.removeprefix("STATUS=")
        return True


@pytest.mark.parametrize("temperature", [None, 48.0])
def test_status_of_the_service(results, temperature):
    manager, clock = RecordingManager("@nobody"), FakeClock()
    fields = names("Status of the service", "field")
    with SystemdNotifier(manager, lambda: None, clock, lambda: temperature) as notifier:
        for result in islice(results, 3):
            assert "fps=" not in manager.status
            notifier.write(result)
            clock.now += STATUS_SECONDS / 2
        found = dict(field.split("=") for field in manager.status.split(" "))
        assert list(found) == [name for name in fields if name != "temperature_c" or temperature is not None]
        assert all(float(value) >= 0 for value in found.values())
        notifier.report_wait("unplugged")
        assert "fps=" not in manager.status


def test_all_errors_have_a_documented_exit_status():
    documented = {int(row["status"]) for row in table("Exit statuses", "status")}
    found, classes = {0}, [EmotionEdgeError]
    while classes:
        error = classes.pop()
        found.add(error.exit_status)
        classes += error.__subclasses__()
    assert found == documented == {0, 1, 2, 78}


@pytest.mark.parametrize(
    ("status", "arguments"),
    [
        (0, ["--version"]),
        (1, ["run", "usb:/dev/missing", "--no-reconnect"]),
        (2, ["run", "missing.mp4"]),
        (78, ["info", __file__]),
    ],
)
def test_exit_status(status, arguments):
    assert run_edge(*arguments).returncode == status


def test_environment_variables():
    files = [path for folder in ("edge", "trainer", "scripts") for path in (ROOT / folder).rglob("*")]
    code_files = [path for path in files if path.suffix in (".py", ".sh")]
    found = {name for path in code_files for name in re.findall(r"\bEMOTION_EDGE_\w+", path.read_text())}
    prefixes = {name for name in found if name.endswith("_")}
    documented = set(names("Environment variables", "variable"))
    assert found - prefixes <= documented
    assert all(name in found or name.startswith(tuple(prefixes)) for name in documented)
