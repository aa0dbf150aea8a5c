-- What: work of moderators, speech and sessions in a window. A correction inside of a review (its span's child) is not
--   counted twice; the time of a transcription stands in for the length of the speech where a session has none recorded.
-- Parameters: since, until (TIMESTAMP, UTC).
-- Returns: worked_ms, speech_s, transcription_s (each NULL where there was none), sessions (with a stage), delivered
--   (ended as delivered, or still open with a successful user_delivery).
-- `stages` is read anew for each use, with the columns of that use: as a whole it would be most of the store.
WITH stages AS NOT MATERIALIZED (
    SELECT
        key_of(session_id) AS session, stage, span_id, parent_span_id, elapsed_ms(start_time, end_time) AS worked_ms,
        speech_seconds
    FROM processing_metrics
    WHERE end_time > $since AND end_time <= $until
),
work AS NOT MATERIALIZED (
    SELECT span_id, parent_span_id, worked_ms FROM stages WHERE stage IN ('admin_review', 'correction_processing')
),
spoken AS (SELECT session, sum(speech_seconds) AS speech_s FROM stages WHERE speech_seconds >= 0 GROUP BY session),
ended AS NOT MATERIALIZED (SELECT key_of(session_id) AS session, outcome FROM sessions WHERE ended_at > $since AND ended_at <= $until)
SELECT
    (SELECT sum(w.worked_ms) FROM work AS w ANTI JOIN work AS p ON p.span_id = w.parent_span_id) AS worked_ms,
    (SELECT sum(speech_s) FROM spoken) AS speech_s,
    (
        SELECT sum(voice_transcription_time_ms) / 1000.0
        FROM correction_metrics
        WHERE timestamp > $since AND timestamp <= $until AND voice_transcription_time_ms >= 0
            AND key_of(session_id) NOT IN (SELECT session FROM spoken)
    ) AS transcription_s,
    (SELECT count(*) FROM drawn_sessions) AS sessions,
    (SELECT count(*) FROM ended WHERE outcome = 'delivered')
    + (
        SELECT count(*)
        FROM drawn_sessions
        ANTI JOIN ended USING (session)
        WHERE answered_at IS NOT NULL
    ) AS delivered;
