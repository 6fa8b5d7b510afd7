-- Every night, as the owner of the tables: add days to come, drop those that are too old, bring the visits up to date.
--
--   psql -v keep_days=365 -d emotion_edge -f maintain.sql
\set ON_ERROR_STOP on
\set VERBOSITY terse
\if :{?keep_days} \else
    \set keep_days 365
\endif
SELECT emotion_edge.checked_days('keep_days', :'keep_days') AS keep_days \gset
SET lock_timeout = '1min';  -- behind a long query, give up rather than let everybody wait; the next run does it
-- Two weeks ahead, so that a timer that fails is noticed before readings have no place. Yesterday, for messages that waited.
SELECT format('CALL emotion_edge.add_day(%L)', (now() AT TIME ZONE 'UTC')::date + number) FROM generate_series(-1, 14) AS number \gexec
-- After the days to come: a long query keeps days from being dropped, not from being added.
CALL emotion_edge.drop_days_before((now() AT TIME ZONE 'UTC')::date - :keep_days);
REFRESH MATERIALIZED VIEW emotion_edge.visits;
ANALYZE emotion_edge.visits;
