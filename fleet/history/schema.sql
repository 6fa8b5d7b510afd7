-- A year of readings in PostgreSQL 15 or newer: tables, roles, and the functions that fill and empty them.
--
--   sudo -u postgres createdb emotion_edge && sudo -u postgres psql -v ON_ERROR_STOP=1 -1 -d emotion_edge -f schema.sql
--
-- The bridge calls emotion_edge.store and may do nothing else. docs/history.md has the steps.

CREATE SCHEMA emotion_edge;

CREATE TABLE emotion_edge.boards (
    board_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    site text NOT NULL CHECK (length(site) BETWEEN 1 AND 100),
    board text NOT NULL CHECK (length(board) BETWEEN 1 AND 100),
    UNIQUE (site, board)
);

-- A row for each face in each message of BASE/results. No image, no box, no name.
CREATE TABLE emotion_edge.readings (
    time timestamptz NOT NULL,  -- when the image was captured, by the board's clock
    board_id integer NOT NULL REFERENCES emotion_edge.boards,
    track_id integer NOT NULL,  -- the same person in the same visit; from 1 in each run
    confidence real NOT NULL CHECK (confidence BETWEEN 0 AND 1),
    changed boolean NOT NULL,  -- true: a face came, went or got another label; false: a sample
    label text CHECK (length(label) BETWEEN 1 AND 100),  -- NULL: uncertain
    PRIMARY KEY (board_id, time, track_id)  -- a message that comes twice is stored once
) PARTITION BY RANGE (time);

-- What store() did not store, so that a board that sends nonsense, or has a wrong clock, is seen.
CREATE TABLE emotion_edge.rejected (
    topic text PRIMARY KEY,
    messages bigint NOT NULL,
    last_at timestamptz NOT NULL,
    last_reason text NOT NULL
);

-- Store messages of BASE/results, where BASE is emotion-edge/SITE/BOARD. What cannot be read is counted in `rejected` and
-- raises no error: an error means that the database is not available, and that the call is to be repeated.
CREATE FUNCTION emotion_edge.store(topics text[], payloads bytea[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    message record;
    content jsonb;
    place text[];
    reason text;
BEGIN
    FOR message IN SELECT * FROM unnest(topics, payloads) AS t (topic, payload) LOOP
        BEGIN
            place := regexp_match(message.topic, '^emotion-edge/([^/]+)/([^/]+)/results$');
            IF place IS NULL THEN
                RAISE data_exception USING MESSAGE = 'expected the topic emotion-edge/SITE/BOARD/results';
            END IF;
            content := convert_from(message.payload, 'UTF8')::jsonb;
            IF jsonb_typeof(content->'faces') IS DISTINCT FROM 'array' THEN
                RAISE data_exception USING MESSAGE = 'expected a list "faces"';
            END IF;
            IF jsonb_array_length(content->'faces') > 0 THEN
                INSERT INTO emotion_edge.boards (site, board) SELECT place[1], place[2]
                WHERE NOT EXISTS (SELECT FROM emotion_edge.boards WHERE site = place[1] AND board = place[2])
                ON CONFLICT DO NOTHING;
            END IF;
            INSERT INTO emotion_edge.readings (time, board_id, track_id, confidence, changed, label)
            SELECT (content->>'time')::timestamptz, board_id, track_id, confidence, (content->>'changed')::boolean, label
            FROM emotion_edge.boards
            CROSS JOIN jsonb_to_recordset(content->'faces') AS face (track_id integer, label text, confidence real)
            WHERE site = place[1] AND board = place[2]
            ON CONFLICT DO NOTHING;
        EXCEPTION WHEN data_exception OR integrity_constraint_violation OR program_limit_exceeded THEN
            GET STACKED DIAGNOSTICS reason = MESSAGE_TEXT;
            INSERT INTO emotion_edge.rejected VALUES (left(message.topic, 300), 1, now(), left(reason, 300))
            ON CONFLICT (topic) DO UPDATE
            SET messages = rejected.messages + 1, last_at = excluded.last_at, last_reason = excluded.last_reason;
        END;
    END LOOP;
END $$;

-- Add the partition of one day (UTC), if it is not there. Neither stops readers nor writers: it is made aside, then attached.
CREATE PROCEDURE emotion_edge.add_day(day date) LANGUAGE plpgsql AS $$
DECLARE
    partition text := to_char(day, '"readings_"YYYYMMDD');
BEGIN
    IF to_regclass('emotion_edge.' || partition) IS NULL THEN
        EXECUTE format('CREATE TABLE emotion_edge.%I (LIKE emotion_edge.readings INCLUDING ALL)', partition);
        EXECUTE format(
            'ALTER TABLE emotion_edge.readings ATTACH PARTITION emotion_edge.%I FOR VALUES FROM (%L) TO (%L)',
            partition, day || ' 00:00+00', day + 1 || ' 00:00+00'
        );
    END IF;
END $$;

-- Drop the partitions of days (UTC) before `first_day`, one after the other, each at once with all its readings.
CREATE PROCEDURE emotion_edge.drop_days_before(first_day date) LANGUAGE plpgsql AS $$
DECLARE
    partition regclass;
BEGIN
    IF first_day > (now() AT TIME ZONE 'UTC')::date THEN
        RAISE '% is in the future: nothing is dropped', first_day;
    END IF;
    FOR partition IN
        SELECT inhrelid::regclass FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
        WHERE inhparent = 'emotion_edge.readings'::regclass AND relname < to_char(first_day, '"readings_"YYYYMMDD')
        ORDER BY relname
    LOOP
        EXECUTE format('DROP TABLE %s', partition);
        COMMIT;  -- the next one does not keep the lock of this one
    END LOOP;
END $$;

-- What a person gives to the files beside this one by `psql -v NAME=VALUE`: return `value` or raise an error that says what is
-- expected. A file sets what was not given to ''.
CREATE FUNCTION emotion_edge.checked_day(name text, value text) RETURNS date LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF value !~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}$' THEN  -- 11/12/2026 is another day elsewhere
        RAISE '% is "%", expected a day as YYYY-MM-DD: psql -v %=2026-11-26', name, value, name;
    END IF;
    RETURN value::date;
END $$;

CREATE FUNCTION emotion_edge.checked_days(name text, value text) RETURNS integer LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF value !~ '^[1-9][0-9]{0,4}$' THEN
        RAISE '% is "%", expected a number of days from 1 to 99999: psql -v %=28', name, value, name;
    END IF;
    RETURN value::integer;
END $$;

CREATE FUNCTION emotion_edge.checked_site(value text) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM emotion_edge.boards WHERE site = value) THEN
        RAISE 'site is "%", expected one of: %', value,
            (SELECT coalesce(string_agg(DISTINCT site, ', ' ORDER BY site), 'none, there is no site') FROM emotion_edge.boards);
    END IF;
    RETURN value;
END $$;

-- A visit: readings of one face without a gap of more than 10 s. maintain.sql brings it up to date, every night.
CREATE MATERIALIZED VIEW emotion_edge.visits AS
WITH gaps AS (
    SELECT board_id, track_id, time,
        time - lag(time) OVER face <= interval '10 seconds' AS goes_on
    FROM emotion_edge.readings
    WINDOW face AS (PARTITION BY board_id, track_id ORDER BY time)
), numbered AS (
    SELECT board_id, track_id, time, count(*) FILTER (WHERE goes_on IS NOT TRUE) OVER face AS number
    FROM gaps
    WINDOW face AS (PARTITION BY board_id, track_id ORDER BY time)
)
SELECT board_id, track_id, min(time) AS began, max(time) AS ended
FROM numbered
GROUP BY board_id, track_id, number;
CREATE INDEX ON emotion_edge.visits (began);

-- The days (in `zone`) of each site in figures, for comparisons: visits of a second or more, their median dwell time, and the
-- percentage of each label among the samples. A day without readings has no row, nor has today, which is not over: its visits are
-- those until the last nightly run.
CREATE FUNCTION emotion_edge.days(zone text, first_day date, day_after date)
RETURNS TABLE (site text, day date, figure text, value double precision)
LANGUAGE sql STABLE AS $$
    WITH visits AS (
        SELECT boards.site, (began AT TIME ZONE zone)::date AS day, extract(epoch FROM ended - began) AS seconds
        FROM emotion_edge.visits JOIN emotion_edge.boards USING (board_id)
        WHERE began >= first_day::timestamp AT TIME ZONE zone
            AND began < least(day_after, (now() AT TIME ZONE zone)::date)::timestamp AT TIME ZONE zone
            AND ended - began >= interval '1 second'
    ), labels AS (
        SELECT board_id, (time AT TIME ZONE zone)::date AS day, coalesce(label, '(uncertain)') AS label, count(*) AS samples
        FROM emotion_edge.readings
        WHERE time >= first_day::timestamp AT TIME ZONE zone
            AND time < least(day_after, (now() AT TIME ZONE zone)::date)::timestamp AT TIME ZONE zone AND NOT changed
        GROUP BY 1, 2, 3
    ), counted AS (
        SELECT sites.site, labels.day, label, sum(samples) AS samples
        FROM labels JOIN emotion_edge.boards AS sites USING (board_id)
        GROUP BY 1, 2, 3
    ), of_days AS (
        SELECT counted.site, counted.day, jsonb_object_agg(label, samples) AS samples, sum(samples) AS total
        FROM counted
        GROUP BY 1, 2
    )
    SELECT visits.site, visits.day, 'visits', count(*) FROM visits GROUP BY 1, 2
    UNION ALL
    SELECT visits.site, visits.day, 'median dwell time, s', percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds)
    FROM visits GROUP BY 1, 2
    UNION ALL
    -- of each label that occurs at all, 0 % on days on which it does not
    SELECT of_days.site, of_days.day, '% ' || label, 100 * coalesce((of_days.samples->>label)::numeric, 0) / total
    FROM of_days CROSS JOIN (SELECT DISTINCT label FROM labels) AS occurring
$$;

DO $$
BEGIN
    -- Of a query over hundreds of partitions PostgreSQL compiles an expression for each: that takes longer than the query.
    EXECUTE format('ALTER DATABASE %I SET jit = off', current_database());
    IF to_regrole('emotion-edge-history') IS NULL THEN CREATE ROLE "emotion-edge-history" LOGIN; END IF;
    IF to_regrole('emotion_edge_reader') IS NULL THEN CREATE ROLE emotion_edge_reader; END IF;
END $$;
REVOKE EXECUTE ON FUNCTION emotion_edge.store FROM PUBLIC;
GRANT USAGE ON SCHEMA emotion_edge TO "emotion-edge-history", emotion_edge_reader;
GRANT EXECUTE ON FUNCTION emotion_edge.store TO "emotion-edge-history";
GRANT SELECT ON ALL TABLES IN SCHEMA emotion_edge TO emotion_edge_reader;
