-- Delete the readings of one site and one day, also from the visits and from the disk of the database:
--
--   psql -v site=shop -v day=2026-11-26 -v zone=Europe/Berlin -d emotion_edge -f delete_site_day.sql
\set ON_ERROR_STOP on
\set VERBOSITY terse
\if :{?zone} \else
    \set zone UTC
\endif
\if :{?site} \else
    \set site ''
\endif
\if :{?day} \else
    \set day ''
\endif
SELECT emotion_edge.checked_site(:'site') AS site, emotion_edge.checked_day('day', :'day') AS day \gset
DELETE FROM emotion_edge.readings USING emotion_edge.boards
WHERE readings.board_id = boards.board_id AND site = :'site'
    AND time >= :'day'::timestamp AT TIME ZONE :'zone' AND time < (:'day'::date + 1)::timestamp AT TIME ZONE :'zone';
REFRESH MATERIALIZED VIEW emotion_edge.visits;
-- Deleted rows stay in the files until they are rewritten. A day elsewhere is in two or three partitions, which are days of UTC.
SELECT format('VACUUM FULL %s', inhrelid::regclass)
FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
WHERE inhparent = 'emotion_edge.readings'::regclass
    AND to_date(right(relname, 8), 'YYYYMMDD') BETWEEN :'day'::date - 1 AND :'day'::date + 1 \gexec
