"""fleet/history: the files agree with each other and the contract; PostgreSQL stores, counts, keeps, deletes."""

import json
import os
import random
import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta

import pytest

from tests.support.paths import ROOT
from tests.support.postgres import HISTORY, Postgres, PostgresError, needs_postgres

PAGE = (ROOT / "docs" / "history.md").read_text()
SCHEMA = (HISTORY / "schema.sql").read_text()
FLOWS = {node["id"]: node for node in json.loads((HISTORY / "flows.json").read_text())}
QUERIES = sorted((HISTORY / "queries").glob("*_*.sql"))
UNITS = sorted((HISTORY / "systemd").iterdir())
BRIDGE = "emotion-edge-history"  # the bridge's user, also of the database
needs_node = pytest.mark.skipif(
    shutil.which("node") is None, reason="Node.js is not installed: 'sudo apt install nodejs npm'"
)
pytestmark = pytest.mark.scripts  # the same whatever is installed
NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)  # of a day that has a partition


# --- files --------------------------------------------------------------------------------------------------------


def test_the_flow_subscribes_to_the_results_of_all_boards():
    topic = FLOWS["results"]["topic"]
    assert "| `BASE/results` |" in (ROOT / "docs" / "contract.md").read_text()
    assert "`emotion-edge/` and the host name" in (ROOT / "docs" / "mqtt.md").read_text()
    assert topic == "emotion-edge/+/+/results"
    assert f"'^{topic.replace('+', '([^/]+)')}$'" in SCHEMA, "store() expects another topic"
    readers = (ROOT / "fleet/monitoring/mosquitto/emotion-edge.acl").read_text()
    assert "user reader\ntopic read emotion-edge/#" in readers


def test_the_flow_leads_from_the_broker_to_the_database():
    results, broker = FLOWS["results"], FLOWS[FLOWS["results"]["broker"]]
    assert results["wires"] == [["store"]]
    assert FLOWS[broker["tls"]]["verifyservercert"] is True
    kept = (results["qos"], broker["cleansession"], broker["clientid"] != "")
    assert kept == ("1", False, True), "the broker keeps changes only for a session that is not clean"
    assert "CREATE FUNCTION emotion_edge.store(topics text[], payloads bytea[])" in SCHEMA
    assert "SELECT emotion_edge.store($1, $2)" in FLOWS["store"]["func"]


@needs_node
@pytest.mark.parametrize("code", ["initialize", "func", "finalize"])
def test_the_code_of_the_function_parses(code):
    wrapped = f"(async function () {{\n{FLOWS['store'][code]}\n}})"
    result = subprocess.run(["node", "--check", "-"], input=wrapped, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


@needs_node
def test_the_flow_keeps_50_mb_for_a_database_that_is_away():
    """Messages of 10 MB: the first is tried again and again, the oldest of the others are dropped."""
    program = """
        const values = {}, stored = [], warnings = [];
        const context = {get: (name) => values[name], set: (name, value) => { values[name] = value; }};
        let away = true, pauses = 0;
        const query = async (_, [topics]) => {
            if (away) throw new Error("away");
            stored.push(topics);
        };
        const node = {warn: (text) => warnings.push(text)};
        const setTimeout = (resume) => setImmediate(() => { away = ++pauses < 3; resume(); });
        const pg = {Pool: class { query = query; on() {} }};
        const AsyncFunction = (async () => {}).constructor;
        const {initialize, func} = JSON.parse(require("fs").readFileSync(0));
        const names = ["msg", "context", "node", "pg", "setTimeout"];
        const call = (code, msg) => new AsyncFunction(...names, code)(msg, context, node, pg, setTimeout);
        (async () => {
            await call(initialize);
            const calls = [];
            for (let n = 1; n <= 8; n++) calls.push(call(func, {topic: String(n), payload: Buffer.alloc(10e6)}));
            await Promise.all(calls);
            await call(func, {topic: "9", payload: Buffer.alloc(1)});
            console.log(JSON.stringify({stored, warnings, bytes: values.bytes}));
        })();
    """
    result = subprocess.run(
        ["node", "-e", program], input=json.dumps(FLOWS["store"]), capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout) == {
        "stored": [["1", "6", "7", "8"], ["9"]],
        "warnings": ["not stored, tried again every 5 s: away", "stored again; 4 messages dropped since the start"],
        "bytes": 0,
    }


def test_credentials_come_from_the_environment():
    credentials = json.loads((HISTORY / "flows_cred.json").read_text())
    named = [*credentials["broker"].values(), FLOWS["broker"]["broker"], FLOWS["tls"]["ca"]]
    assert [value for value in named if not re.fullmatch(r"\$\{EMOTION_EDGE_HISTORY_\w+\}", value)] == []
    settings = (HISTORY / "settings.js").read_text()
    variables = {value.strip("${}") for value in named}
    assert set(re.findall(r"EMOTION_EDGE_HISTORY_\w+", settings)) == variables
    assert [name for name in variables if f"{name}=" not in PAGE] == []


def test_programs_are_pinned_and_name_no_registry():
    wanted = json.loads((HISTORY / "package.json").read_text())["dependencies"]
    text = (HISTORY / "package-lock.json").read_text()
    packages = json.loads(text)["packages"]
    assert {name: packages[f"node_modules/{name}"]["version"] for name in wanted} == wanted
    assert [name for name, package in packages.items() if name and "integrity" not in package] == []
    assert '"resolved"' not in text
    modules = {each["module"] for each in FLOWS["store"]["libs"]}
    assert {"node-red", *modules} == set(wanted)


@pytest.mark.parametrize("path", [*QUERIES, *UNITS], ids=lambda path: path.name)
def test_every_query_and_unit_is_documented(path):
    assert f"`{path.name}`" in PAGE or f"/{path.name}" in PAGE


def test_there_are_five_queries():
    assert len(QUERIES) == 5


def test_a_second_copy_replaces_the_files_of_the_first(tmp_path):
    """As an update does; `cp -r FOLDER PLACE` would put the folder into the place that is there."""
    (line,) = re.findall(r"^    (.*cp -r fleet/history.*)$", PAGE, re.MULTILINE)
    for folder in ("fleet/history/queries", "opt"):
        (tmp_path / folder).mkdir(parents=True)
    for text in ("old", "new"):
        (tmp_path / "fleet/history/schema.sql").write_text(text)
        line = line.replace("sudo ", "").replace(" /opt", " opt")
        subprocess.run(["bash", "-euc", line], cwd=tmp_path, check=True)
    assert (tmp_path / "opt/emotion-edge-history/schema.sql").read_text() == "new"
    assert not (tmp_path / "opt/emotion-edge-history/history").exists()


def test_the_page_keeps_readings_as_long_as_the_unit():
    unit = (HISTORY / "systemd" / "emotion-edge-history-maintain.service").read_text()
    (days,) = re.findall(r"^Environment=KEEP_DAYS=(\d+)$", unit, re.MULTILINE)
    assert f"\\set keep_days {days}\n" in (HISTORY / "maintain.sql").read_text()
    assert f"{days} days" in PAGE


# --- a real PostgreSQL --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cluster():
    with Postgres() as postgres:
        yield postgres


@pytest.fixture
def database(cluster):
    """Return the database, empty."""
    cluster.run("TRUNCATE emotion_edge.boards, emotion_edge.readings, emotion_edge.rejected RESTART IDENTITY")
    return cluster


def face(track_id=1, label="happy", confidence=0.9, **more):
    return {"track_id": track_id, "label": label, "confidence": confidence, **more}


def message(seconds=0.0, *faces, changed=False, **more):
    """Return the content of a message of `faces`, `seconds` after NOON."""
    taken_at = (NOON + timedelta(seconds=seconds)).isoformat(timespec="milliseconds")
    return {"time": taken_at, "changed": changed, "size": [640, 480], "faces": list(faces), **more}


def store(database, topic, *contents, user=BRIDGE):
    """Store `contents`, JSON-ready or bytes, as the bridge does."""
    payloads = [each if isinstance(each, bytes) else json.dumps(each).encode() for each in contents]
    hexadecimal = ",".join(f"'\\x{payload.hex()}'::bytea" for payload in payloads)
    topics = f"array_fill('{topic}'::text, ARRAY[{len(payloads)}])"
    database.run(f"SELECT emotion_edge.store({topics}, ARRAY[{hexadecimal}])", user=user)


def stay(begin, seconds, track_id=1, label="happy", pause=0.5):
    """Return the samples of a face that is in view for `seconds`."""
    count = round(seconds / pause) + 1
    return [message(begin + pause * number, face(track_id, label)) for number in range(count)]


def query(database, name, **variables):
    database.run_file(HISTORY / "maintain.sql")
    options = [option for key, value in variables.items() for option in ("-v", f"{key}={value}")]
    return database.run_file(HISTORY / "queries" / f"{name}.sql", *options)


@needs_postgres
@pytest.mark.slow
def test_each_face_of_a_message_is_one_row(database):
    store(
        database, "emotion-edge/shop/kiosk1/results", message(1, face(), face(2, None, 0.31), changed=True), message(2)
    )
    rows = database.run(
        "SELECT site, board, extract(epoch FROM time), track_id, label, confidence, changed "
        "FROM emotion_edge.readings JOIN emotion_edge.boards USING (board_id) ORDER BY track_id"
    )
    at = f"{NOON.timestamp() + 1:.6f}"
    assert rows == [["shop", "kiosk1", at, "1", "happy", "0.9", "t"], ["shop", "kiosk1", at, "2", "", "0.31", "t"]]


@needs_postgres
@pytest.mark.slow
def test_a_message_that_comes_twice_is_stored_once(database):
    sent = message(1, face(), face(2))
    store(database, "emotion-edge/shop/kiosk1/results", sent, message(2, face()), sent)
    store(database, "emotion-edge/shop/kiosk1/results", sent)
    store(database, "emotion-edge/fair/kiosk1/results", sent)
    assert database.run("SELECT count(*) FROM emotion_edge.readings") == [["5"]]
    assert database.run("TABLE emotion_edge.rejected") == []


@needs_postgres
@pytest.mark.slow
@pytest.mark.parametrize(
    ("topic", "payload", "reason"),
    [
        ("emotion-edge/shop/kiosk1/results", b"{", "invalid input syntax for type json"),
        ("emotion-edge/shop/kiosk1/results", b"\xff\xfe", "invalid byte sequence"),
        ("emotion-edge/shop/kiosk1/results", b"[" * 60000, "stack depth"),
        ("emotion-edge/shop/kiosk1/results", b"5", 'a list "faces"'),
        ("emotion-edge/shop/kiosk1/results", {"faces": 5}, 'a list "faces"'),
        ("emotion-edge/shop/kiosk1/results", message(0, face(confidence=9)), "confidence_check"),
        ("emotion-edge/shop/kiosk1/results", message(0, face(label="x" * 101)), "label_check"),
        ("emotion-edge/shop/kiosk1/results", message(0, face(label="a\0b")), "Unicode"),
        ("emotion-edge/shop/kiosk1/results", message(0, face(track_id=10**12)), "out of range"),
        ("emotion-edge/shop/kiosk1/results", message(0, face(), face(None)), "not-null"),
        ("emotion-edge/shop/kiosk1/results", message(-(10**8), face()), "no partition"),
        ("emotion-edge/shop/kiosk1/results", message(0, face(), time="soon"), "invalid input syntax"),
        ("emotion-edge/shop/kiosk1/results", message(0, face(), time="infinity"), "no partition"),
        ("emotion-edge/" + "x" * 101 + "/kiosk1/results", message(0, face()), "site_check"),
        ("emotion-edge/kiosk1/results", message(0, face()), "expected the topic"),
        ("emotion-edge/shop/kiosk1/state", message(0, face()), "expected the topic"),
    ],
    ids=range(16),
)
def test_what_cannot_be_stored_is_counted_with_its_reason(database, topic, payload, reason):
    store(database, topic, payload, payload)
    ((name, count, last_reason),) = database.run("SELECT topic, messages, last_reason FROM emotion_edge.rejected")
    assert (name, count) == (topic, "2")
    assert reason in last_reason
    assert database.run("SELECT count(*) FROM emotion_edge.readings") == [["0"]]


@needs_postgres
@pytest.mark.slow
def test_no_message_stops_those_beside_it(database):
    generator = random.Random(5)
    good = [message(number, face(), face(2, None)) for number in range(20)]
    bad = []
    for _ in range(400):
        content = bytearray(json.dumps(message(generator.randrange(10**6), face(), face(2, None))).encode())
        for _ in range(generator.randrange(1, 6)):
            content[generator.randrange(len(content))] = generator.choice(b'\0\x7f\xff"{}[]:,-09eE')
        bad.append(bytes(content))
    mixed = [*good, *bad]
    generator.shuffle(mixed)
    store(database, "emotion-edge/shop/kiosk1/results", *mixed)
    times = f"time >= '{NOON}' AND time < '{NOON + timedelta(seconds=20)}'"
    stored = database.run(f"SELECT count(DISTINCT time) FROM emotion_edge.readings WHERE {times}")
    assert int(stored[0][0]) >= len(good)


@needs_postgres
@pytest.mark.slow
def test_the_bridge_may_only_store_and_a_reader_only_read(database):
    for user, sql in [
        (BRIDGE, "SELECT * FROM emotion_edge.readings"),
        (BRIDGE, "DELETE FROM emotion_edge.readings"),
        ("somebody", "SELECT * FROM emotion_edge.visits"),
        ("somebody", "SELECT emotion_edge.store('{}', '{}')"),
        ("analyst", "DELETE FROM emotion_edge.readings"),
        ("analyst", "SELECT emotion_edge.store('{}', '{}')"),
    ]:
        database.run(
            "DROP ROLE IF EXISTS somebody, analyst; CREATE ROLE somebody LOGIN; "
            "CREATE ROLE analyst LOGIN IN ROLE emotion_edge_reader"
        )
        with pytest.raises(PostgresError, match="permission denied"):
            database.run(sql, user=user)
    store(database, "emotion-edge/shop/kiosk1/results", message(0, face()))
    for path in QUERIES:
        database.run_file(path, "-v", f"date={NOON.date()}", user="analyst")


# --- the five queries -----------------------------------------------------------------------------------------------


@needs_postgres
@pytest.mark.slow
def test_emotions_by_hour_are_those_of_the_samples(database):
    store(database, "emotion-edge/shop/kiosk1/results", message(-0.1, face(label="sad"), changed=True))
    store(database, "emotion-edge/shop/kiosk1/results", *stay(0, 1, label="happy"), message(2, face(label=None)))
    store(database, "emotion-edge/shop/kiosk2/results", *stay(3600, 1, label="sad"))
    rows = query(database, "emotions_by_hour", zone="Etc/GMT-1")  # an hour east of Greenwich
    assert rows == [["13", "happy", "3", "75.0"], ["13", "(uncertain)", "1", "25.0"], ["14", "sad", "3", "100.0"]]


@needs_postgres
@pytest.mark.slow
def test_a_visit_ends_with_a_gap_of_more_than_ten_seconds(database):
    store(
        database, "emotion-edge/shop/kiosk1/results", *stay(0, 5), *stay(14, 2), *stay(26.5, 3), *stay(0, 4, track_id=2)
    )
    store(database, "emotion-edge/shop/kiosk2/results", *stay(100, 20), *stay(100, 0, track_id=7))
    store(database, "emotion-edge/fair/kiosk3/results", *stay(3600 * 12, 8, pause=1))  # the next day
    database.run_file(HISTORY / "maintain.sql")
    visits = database.run(
        f"SELECT board, track_id, round(extract(epoch FROM began - '{NOON}'), 1), "
        "round(extract(epoch FROM ended - began), 1) "
        "FROM emotion_edge.visits JOIN emotion_edge.boards USING (board_id) ORDER BY board, began, track_id"
    )
    assert visits == [
        ["kiosk1", "1", "0.0", "16.0"],
        ["kiosk1", "2", "0.0", "4.0"],
        ["kiosk1", "1", "26.5", "3.0"],
        ["kiosk2", "1", "100.0", "20.0"],
        ["kiosk2", "7", "100.0", "0.0"],
        ["kiosk3", "1", "43200.0", "8.0"],
    ]
    today, tomorrow = str(NOON.date()), str(NOON.date() + timedelta(1))
    end = NOON.date() + timedelta(2)
    assert query(database, "visits_per_day", end=end) == [["fair", tomorrow, "1"], ["shop", today, "4"]]
    times = {site: values for site, *values in query(database, "dwell_time", end=end)}
    assert times == {"fair": ["1", "8.0", "8.0", "8.0"], "shop": ["4", "10.8", "10.0", "18.8"]}


def store_days(database, site, days):
    """Store one visit a day: {days from today on: (seconds, label)}."""
    for number, (seconds, label) in days.items():
        database.run(f"CALL emotion_edge.add_day('{NOON.date() + timedelta(number)}')")
        store(database, f"emotion-edge/{site}/kiosk/results", *stay(86400 * number, seconds, label=label))


@needs_postgres
@pytest.mark.slow
def test_sites_are_compared_by_their_days(database):
    store_days(database, "shop", {-2: (4, "happy"), -1: (8, "sad"), 0: (99, "angry")})  # today is not over
    store_days(database, "fair", {-2: (10, "happy")})
    rows = {
        (figure, site): values
        for figure, site, *values in query(database, "site_against_site", end=NOON.date() + timedelta(3))
    }
    assert rows == {
        ("visits", "shop"): ["2", "1.00", "0.00"],
        ("visits", "fair"): ["1", "1.00", ""],
        ("median dwell time, s", "shop"): ["2", "6.00", "2.00"],
        ("median dwell time, s", "fair"): ["1", "10.00", ""],
        ("% happy", "shop"): ["2", "50.00", "50.00"],
        ("% happy", "fair"): ["1", "100.00", ""],
        ("% sad", "shop"): ["2", "50.00", "50.00"],
        ("% sad", "fair"): ["1", "0.00", ""],
    }


@needs_postgres
@pytest.mark.slow
def test_days_before_and_after_a_date_are_compared(database):
    shop = {-5: (99, "sad"), -4: (4, "happy"), -3: (8, "happy"), -2: (20, "happy"), -1: (24, "sad"), 0: (99, "sad")}
    store_days(database, "shop", shop)
    store_days(database, "fair", {-4: (4, "happy")})  # no day after
    rows = query(database, "before_and_after", date=NOON.date() - timedelta(2), days=2)
    assert query(database, "before_and_after", date=NOON.date(), days=2) == []
    assert rows == [
        ["shop", "% happy", "100.00", "50.00", "-50.00", "50.00"],
        ["shop", "% sad", "0.00", "50.00", "50.00", "50.00"],
        ["shop", "median dwell time, s", "6.00", "22.00", "16.00", "2.83"],
        ["shop", "visits", "1.00", "1.00", "0.00", "0.00"],
    ]


# --- retention and deletion -----------------------------------------------------------------------------------------


def partitions(database):
    names = database.run("SELECT relname FROM pg_class WHERE relispartition AND relkind = 'r'")
    return sorted(name for (name,) in names)


@needs_postgres
@pytest.mark.slow
def test_days_are_dropped_when_they_are_too_old(database):
    today = NOON.date()
    database.run(f"CALL emotion_edge.drop_days_before('{today}')")
    for age in (366, 365, 364):
        database.run(f"CALL emotion_edge.add_day('{today}'::date - {age})")
    store(database, "emotion-edge/shop/kiosk1/results", *(message(-86400 * age, face()) for age in (366, 365, 364, 0)))
    assert database.run("SELECT count(*) FROM emotion_edge.readings") == [["4"]]
    for _ in range(2):  # the second run changes nothing
        database.run_file(HISTORY / "maintain.sql")
        days = [*(today - timedelta(age) for age in (365, 364)), *(today + timedelta(day) for day in range(-1, 15))]
        assert partitions(database) == [f"readings_{day:%Y%m%d}" for day in days]
        assert database.run("SELECT count(*) FROM emotion_edge.visits") == [["3"]]
    database.run_file(HISTORY / "maintain.sql", "-v", "keep_days=30")
    assert partitions(database)[0] == f"readings_{today - timedelta(1):%Y%m%d}"
    assert database.run("SELECT count(*) FROM emotion_edge.visits") == [["1"]]


@needs_postgres
@pytest.mark.slow
def test_a_long_query_keeps_no_day_from_being_added(database, tmp_path):
    today = NOON.date()
    database.run(f"CALL emotion_edge.add_day('{today}'::date - 366)")
    database.run(f"DROP TABLE emotion_edge.readings_{today + timedelta(14):%Y%m%d}")
    impatient = tmp_path / "maintain.sql"
    impatient.write_text((HISTORY / "maintain.sql").read_text().replace("'1min'", "'1ms'"))
    reader = subprocess.Popen(
        ["psql", "-X", "-q", "-A", "-t"],
        env={**os.environ, **database.environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with reader:
        assert reader.stdin
        assert reader.stdout
        reader.stdin.write("BEGIN; SELECT count(*) FROM emotion_edge.readings;\n")
        reader.stdin.flush()
        assert reader.stdout.readline() == "0\n"
        with pytest.raises(PostgresError, match="lock timeout"):
            database.run_file(impatient)
        reader.stdin.close()
    assert f"readings_{today + timedelta(14):%Y%m%d}" in partitions(database)


@needs_postgres
@pytest.mark.slow
def test_one_day_of_one_site_is_deleted(database):
    # Midnight at UTC+2 is 22 o'clock of UTC.
    for site in ("shop", "fair"):
        hours = (-14.1, -13.9, 0, 9.9, 10.1)
        store(database, f"emotion-edge/{site}/kiosk/results", *(message(3600 * hour, face()) for hour in hours))
    database.run_file(
        HISTORY / "delete_site_day.sql", "-v", "site=shop", "-v", f"day={NOON.date()}", "-v", "zone=Etc/GMT-2"
    )
    remaining = (
        f"SELECT site, round(extract(epoch FROM time - '{NOON}') / 3600, 1) "
        "FROM emotion_edge.readings JOIN emotion_edge.boards USING (board_id) WHERE site = 'shop' ORDER BY time"
    )
    assert database.run(remaining) == [["shop", "-14.1"], ["shop", "10.1"]]
    for table in ("readings", "visits"):
        counts = (
            f"SELECT site, count(*) FROM emotion_edge.{table} JOIN emotion_edge.boards USING (board_id) GROUP BY site"
        )
        assert sorted(database.run(counts)) == [["fair", "5"], ["shop", "2"]]


@needs_postgres
@pytest.mark.slow
def test_a_whole_site_is_deleted(database):
    for site in ("shop", "fair"):
        store(database, f"emotion-edge/{site}/kiosk/results", message(0, face()), message(86400, face()), b"{")
    database.run_file(HISTORY / "delete_site.sql", "-v", "site=shop")
    assert database.run("SELECT site FROM emotion_edge.boards") == [["fair"]]
    assert database.run("SELECT topic FROM emotion_edge.rejected") == [["emotion-edge/fair/kiosk/results"]]
    for table in ("readings", "visits"):
        assert database.run(f"SELECT count(*) FROM emotion_edge.{table}") == [["2"]]


WRONG_DAYS = ["11/12/2026", "2026-11-26T12:00", "today", "26.11.2026", "2026-13-01", " 2026-11-26", ""]


@needs_postgres
@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "options", "error"),
    [
        ("delete_site_day.sql", [f"day={NOON.date()}"], 'site is "", expected one of: fair, shop'),
        ("delete_site_day.sql", ["site=Shop", f"day={NOON.date()}"], 'site is "Shop", expected one of: fair, shop'),
        ("delete_site_day.sql", ["site=shop"], 'day is "", expected a day as YYYY-MM-DD'),
        *(("delete_site_day.sql", ["site=shop", f"day={day}"], "out of range|YYYY-MM-DD") for day in WRONG_DAYS),
        ("delete_site.sql", [], 'site is "", expected one of: fair, shop'),
        ("delete_site.sql", ["site=shops"], 'site is "shops", expected one of: fair, shop'),
        *(("maintain.sql", [f"keep_days={days}"], "keep_days is .*from 1 to") for days in ("-3", "0", "1 0", "x", "")),
        ("queries/before_and_after.sql", [], 'date is "", expected a day as YYYY-MM-DD'),
        ("queries/before_and_after.sql", ["date=11/12/2026"], "date is .*YYYY-MM-DD"),
        ("queries/before_and_after.sql", [f"date={NOON.date()}", "days=0"], "days is .*from 1 to"),
        ("queries/visits_per_day.sql", ["begin=1.10.2026"], "begin is .*YYYY-MM-DD"),
        ("queries/visits_per_day.sql", [f"begin={NOON.date()}", "end=11/12/2026"], "end is .*YYYY-MM-DD"),
    ],
)
def test_a_wrong_option_is_one_error_and_deletes_nothing(database, path, options, error):
    for site in ("shop", "fair"):
        store(database, f"emotion-edge/{site}/kiosk/results", message(0, face()))
    variables = [part for option in ["ON_ERROR_STOP=0", *options] for part in ("-v", option)]
    with pytest.raises(PostgresError, match=error) as raised:
        database.run_file(HISTORY / path, *variables)
    assert len(str(raised.value).splitlines()) == 1
    assert database.run("SELECT count(*) FROM emotion_edge.readings") == [["2"]]


@needs_postgres
@pytest.mark.slow
def test_no_day_is_dropped_before_one_in_the_future(database):
    store(database, "emotion-edge/shop/kiosk/results", message(0, face()))
    with pytest.raises(PostgresError, match="is in the future: nothing is dropped"):
        database.run(f"CALL emotion_edge.drop_days_before('{NOON.date() + timedelta(2)}')")
    assert database.run("SELECT count(*) FROM emotion_edge.readings") == [["1"]]
