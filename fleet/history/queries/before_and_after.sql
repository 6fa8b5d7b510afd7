-- Before and after a date, by site: `psql -v date=2026-11-26 [-v days=28]`; the day itself belongs to "after". The standard error is
-- that of the difference. A site where nothing was changed tells what the season did.
\if :{?date} \else
    \set date ''
\endif
\if :{?days} \else
    \set days 28
\endif
\set ON_ERROR_STOP on
\set VERBOSITY terse
\ir defaults.sql
SELECT emotion_edge.checked_day('date', :'date') AS date, emotion_edge.checked_days('days', :'days') AS days \gset
SELECT
    site,
    figure,
    round(before::numeric, 2) AS before,
    round(after::numeric, 2) AS after,
    round((after - before)::numeric, 2) AS difference,
    round(sqrt(before_variance / before_days + after_variance / after_days)::numeric, 2) AS standard_error
FROM (
    SELECT
        site,
        figure,
        avg(value) FILTER (WHERE day < :'date') AS before,
        var_samp(value) FILTER (WHERE day < :'date') AS before_variance,
        count(*) FILTER (WHERE day < :'date') AS before_days,
        avg(value) FILTER (WHERE day >= :'date') AS after,
        var_samp(value) FILTER (WHERE day >= :'date') AS after_variance,
        count(*) FILTER (WHERE day >= :'date') AS after_days
    FROM emotion_edge.days(:'zone', :'date'::date - :days, :'date'::date + :days)
    GROUP BY site, figure
) AS figures
WHERE before_days > 0 AND after_days > 0
ORDER BY site, figure;
