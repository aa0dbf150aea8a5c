-- What: whether a store holds anything but a demo: sessions, system metrics and log lines without its mark, and
--   corrections of no session.
-- Parameters: none. Returns: others (rows that are not the demo's), demo (sessions that are).
SELECT
    (SELECT count(*) FROM sessions WHERE NOT coalesce(json_extract(metadata, '$.demo'), 0))
    + (SELECT count(*) FROM system_metrics WHERE NOT coalesce(json_extract(metadata, '$.demo'), 0))
    + (
        SELECT count(*) FROM logs
        WHERE NOT coalesce(json_extract(fields, '$.demo'), 0)
            AND coalesce(session_id, '') NOT IN (SELECT session_id FROM sessions)
    )
    + (SELECT count(*) FROM correction_metrics WHERE session_id NOT IN (SELECT session_id FROM sessions)) AS others,
    (SELECT count(*) FROM sessions) AS demo;
