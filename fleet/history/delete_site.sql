-- Delete a site: its readings, visits, boards and rejected messages, also from the disk of the database. Stop its boards first:
-- what they publish afterwards is stored again.
--
--   psql -v site=shop -d emotion_edge -f delete_site.sql
\set ON_ERROR_STOP on
\set VERBOSITY terse
\if :{?site} \else
    \set site ''
\endif
SELECT emotion_edge.checked_site(:'site') AS site \gset
DELETE FROM emotion_edge.readings USING emotion_edge.boards WHERE readings.board_id = boards.board_id AND site = :'site';
DELETE FROM emotion_edge.boards WHERE site = :'site';
DELETE FROM emotion_edge.rejected WHERE split_part(topic, '/', 2) = :'site';
REFRESH MATERIALIZED VIEW emotion_edge.visits;
-- Deleted rows stay in the files until they are rewritten. This rewrites all days, one after the other.
VACUUM FULL emotion_edge.readings, emotion_edge.boards, emotion_edge.rejected;
