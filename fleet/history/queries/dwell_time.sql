-- Dwell time by site, in seconds, of visits of a second or more: how long a face was in view.
\set ON_ERROR_STOP on
\set VERBOSITY terse
\ir defaults.sql
SELECT
    site,
    count(*) AS visits,
    round(avg(seconds), 1) AS mean,
    round(percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds)::numeric, 1) AS median,
    round(percentile_cont(0.9) WITHIN GROUP (ORDER BY seconds)::numeric, 1) AS p90
FROM (
    SELECT site, extract(epoch FROM ended - began) AS seconds
    FROM emotion_edge.visits
    JOIN emotion_edge.boards USING (board_id)
    WHERE began >= :'begin'::timestamp AT TIME ZONE :'zone' AND began < :'end'::timestamp AT TIME ZONE :'zone'
        AND ended - began >= interval '1 second'
) AS visits
GROUP BY site
ORDER BY site;
