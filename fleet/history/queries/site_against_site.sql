-- Sites side by side: mean of each figure over the days, and the standard error of that mean. Days are the unit, since the faces of one
-- day are not independent of each other. Means that differ by less than about three standard errors may be chance.
\set ON_ERROR_STOP on
\set VERBOSITY terse
\ir defaults.sql
SELECT
    figure,
    site,
    count(*) AS days,
    round(avg(value)::numeric, 2) AS mean,
    round((stddev_samp(value) / sqrt(count(*)))::numeric, 2) AS standard_error
FROM emotion_edge.days(:'zone', :'begin', :'end')
GROUP BY figure, site
ORDER BY figure, site;
