-- What each query takes by `psql -v NAME=VALUE`: zone; begin, a day; end, the day after the last one.
\if :{?zone} \else
    \set zone UTC
\endif
\if :{?end} \else
    SELECT (now() AT TIME ZONE :'zone')::date + 1 AS "end" \gset
\endif
\if :{?begin} \else
    SELECT :'end'::date - 365 AS "begin" \gset
\endif
SELECT emotion_edge.checked_day('begin', :'begin') AS begin, emotion_edge.checked_day('end', :'end') AS "end" \gset
