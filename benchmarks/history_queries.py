"""Fill a real PostgreSQL with a year of synthetic readings, and time the queries of fleet/history.

The days are made in the database: boards of five sites, visits between 9 and 19 o'clock whose dwell times are spread as
a log-normal distribution with a mean of 12 s, two samples a second, and a change every 3 s. Ten million readings are a
year of ten boards with 97 visits a day each.

Each query runs over the whole year and over its last 28 days, `before_and_after` with half of that on each side, three
times; the table has the median and the slowest run, in seconds, with the start of psql in it. PostgreSQL has its
default settings. What it has just written is in memory as far as that suffices: a disk that is read is not measured.

How fast readings are stored is measured with messages of one face, in batches as the bridge sends them. Needs Debian's
package postgresql.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from benchmarks.common import make_parser
from tests.support.postgres import HISTORY, Postgres

DAYS, BOARDS, SITES = 365, 10, 5
READINGS_PER_VISIT = 28.26  # of MAKE_DAYS, counted
BATCH = 200  # messages that the bridge stores at once: fleet/history/flows.json
STORED_MESSAGES = 20_000
RUNS = 3

MAKE_DAYS = r"""
SELECT setseed(0.5);
INSERT INTO emotion_edge.boards (site, board)
SELECT 'site' || 1 + n % :sites, 'kiosk' || n FROM generate_series(1, :boards) AS n;

SELECT format('CALL emotion_edge.add_day(%L)', :'begin'::date + n) FROM generate_series(0, :days - 1) AS n \gexec

CREATE TEMP TABLE new_visits AS
SELECT
    board_id,
    row_number() OVER (PARTITION BY board_id, day)::integer AS track_id,
    (:'begin'::date + day)::timestamp AT TIME ZONE 'UTC' + interval '9 hours' + random() * interval '10 hours' AS began,
    -- the sum of four uniform numbers has nearly a normal distribution, of variance 1/3
    exp(2 + 0.98 * sqrt(3) * (random() + random() + random() + random() - 2)) AS seconds
FROM emotion_edge.boards
CROSS JOIN generate_series(0, :days - 1) AS day
CROSS JOIN generate_series(1, :visits);

SET session_replication_role = replica;  -- ten million checks that the board exists say nothing new
INSERT INTO emotion_edge.readings (time, board_id, track_id, confidence, changed, label)
SELECT
    date_trunc('milliseconds', began + second * interval '1 second'),
    board_id,
    track_id,
    0.3 + 0.7 * random(),
    changed,
    (ARRAY['neutral', 'neutral', 'neutral', 'happy', 'happy', 'sad', 'angry', 'surprise', 'fear', 'disgust', NULL])
    [1 + (hashfloat8(extract(epoch FROM began)::float8 + floor(second / 3)) & 65535) % 11]
FROM new_visits
CROSS JOIN LATERAL (
    SELECT second, false FROM generate_series(0.1, seconds::numeric, 0.5) AS second
    UNION ALL
    SELECT second, true FROM generate_series(0, seconds::numeric, 3) AS second
) AS moments (second, changed);

VACUUM ANALYZE emotion_edge.readings;
"""


def fill(postgres: Postgres, begin: date, readings: int) -> int:
    """Make DAYS days from `begin` on, with about `readings` readings; return how many there are."""
    path = postgres.folder / "make_days.sql"
    path.write_text(MAKE_DAYS)
    visits = max(1, round(readings / (DAYS * BOARDS * READINGS_PER_VISIT)))
    variables = {"begin": begin, "days": DAYS, "boards": BOARDS, "sites": SITES, "visits": visits}
    postgres.run_file(path, *set_variables(**variables))
    return int(postgres.run("SELECT count(*) FROM emotion_edge.readings")[0][0])


def set_variables(**variables: object) -> Iterator[str]:
    """Yield the options of psql that set `variables`."""
    for name, value in variables.items():
        yield from ("-v", f"{name}={value}")


def time_query(postgres: Postgres, path: Path, **variables: object) -> tuple[float, float, int]:
    """Return the median and the slowest time of RUNS runs in seconds, and the number of rows."""
    seconds, rows = [], 0
    for _ in range(RUNS):
        start = time.monotonic()
        rows = len(postgres.run_file(path, *set_variables(**variables)))
        seconds.append(time.monotonic() - start)
    return statistics.median(seconds), max(seconds), rows


def time_queries(postgres: Postgres, begin: date) -> None:
    """Print the table of queries."""
    print("\n| query | year | slowest | 28 days | slowest | rows (year) |\n| --- | ---: | ---: | ---: | ---: | ---: |")
    end = begin + timedelta(DAYS)
    for path in sorted((HISTORY / "queries").glob("*_*.sql")):
        periods = []
        for days in (DAYS, 28):
            variables = {"zone": "Europe/Berlin", "begin": end - timedelta(days), "end": end}
            middle = {"date": end - timedelta(days // 2), "days": days // 2}
            periods.append(time_query(postgres, path, **variables, **middle))
        (year, slowest_year, rows), (month, slowest_month, _) = periods
        times = " | ".join(f"{seconds:.2f}" for seconds in (year, slowest_year, month, slowest_month))
        print(f"| `{path.name}` | {times} | {rows} |", flush=True)


def time_storing(postgres: Postgres) -> float:
    """Return how many messages of one face are stored in a second."""
    path, now = postgres.folder / "store.sql", datetime.now(UTC)
    probabilities = dict.fromkeys(("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise"), 0.1429)
    with path.open("w") as file:
        for first in range(0, STORED_MESSAGES, BATCH):
            topics, payloads = [], []
            for number in range(first, first + BATCH):
                taken_at = (now + timedelta(seconds=number / 2)).isoformat(timespec="milliseconds")
                face = {"track_id": 1, "box": [372, 199, 233, 233], "label": "happy", "since": taken_at, "age": 0.0}
                face |= {"confidence": 0.9277, "probabilities": probabilities}
                message = {"time": taken_at, "changed": False, "size": [640, 480], "faces": [face]}
                topics.append(f"'emotion-edge/site{1 + number % SITES}/new{number % BOARDS}/results'")
                payloads.append(f"'\\x{json.dumps(message).encode().hex()}'::bytea")
            file.write(f"SELECT emotion_edge.store(ARRAY[{','.join(topics)}], ARRAY[{','.join(payloads)}]);\n")
    start = time.monotonic()
    postgres.run_file(path)
    return STORED_MESSAGES / (time.monotonic() - start)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser("history_queries", __doc__ or "")
    parser.add_argument("--readings", type=int, default=10_000_000, help="about how many (default: %(default)s)")
    options = parser.parse_args(arguments)
    begin = datetime.now(UTC).date() - timedelta(DAYS)
    with Postgres() as postgres:
        start = time.monotonic()
        readings = fill(postgres, begin, options.readings)
        print(f"{readings} readings of {BOARDS} boards in {DAYS} days, made in {time.monotonic() - start:.0f} s")
        start = time.monotonic()
        postgres.run_file(HISTORY / "maintain.sql")
        visits = postgres.run("SELECT count(*) FROM emotion_edge.visits")[0][0]
        print(f"maintain.sql: {time.monotonic() - start:.1f} s, {visits} visits")
        partitions = "FROM pg_inherits WHERE inhparent = 'emotion_edge.readings'::regclass"
        size = int(postgres.run(f"SELECT sum(pg_total_relation_size(inhrelid)) {partitions}")[0][0])
        print(f"disk: {size / readings:.0f} bytes a reading, with the index")
        time_queries(postgres, begin)
        print(f"\nstored: {time_storing(postgres):.0f} messages of one face a second")
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
