-- Visits a day, by site: faces that were there for a second or more.
\set ON_ERROR_STOP on
\set VERBOSITY terse
\ir defaults.sql
SELECT site, (began AT TIME ZONE :'zone')::date AS day, count(*) AS visits
FROM emotion_edge.visits
JOIN emotion_edge.boards USING (board_id)
WHERE began >= :'begin'::timestamp AT TIME ZONE :'zone' AND began < :'end'::timestamp AT TIME ZONE :'zone'
    AND ended - began >= interval '1 second'
GROUP BY site, day
ORDER BY site, day;
