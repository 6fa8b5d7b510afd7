-- Emotions by hour of the day: percentage of each label among the samples, all sites. For a table with a column for each label, end
-- it with \crosstabview instead of the semicolon.
\set ON_ERROR_STOP on
\set VERBOSITY terse
\ir defaults.sql
SELECT
    hour,
    coalesce(label, '(uncertain)') AS label,
    sum(samples) AS samples,
    round(100 * sum(samples) / sum(sum(samples)) OVER (PARTITION BY hour), 1) AS percent
FROM (
    SELECT extract(hour FROM time AT TIME ZONE :'zone')::integer AS hour, label, count(*) AS samples
    FROM emotion_edge.readings
    WHERE time >= :'begin'::timestamp AT TIME ZONE :'zone' AND time < :'end'::timestamp AT TIME ZONE :'zone' AND NOT changed
    GROUP BY 1, 2
) AS hours
GROUP BY hour, label
ORDER BY hour, samples DESC;
