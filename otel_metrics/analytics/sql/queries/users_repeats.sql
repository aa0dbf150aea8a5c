-- What: who comes again soon. A repeat is a session of a known user that began at most $within_h hours after another
--   one of the same user. A first contact is no repeat; it is resolved if the user got an answer and came not again
--   within the hours. Of first contacts those count whose hours ended in the window.
-- Parameters: since, until (TIMESTAMP, UTC), within_h, before_since (since less twice the hours).
-- Returns: one row of sessions (of known users, begun in the window), repeats, users_again, first_contacts, came_again,
--   not_answered (neither answered nor come again), resolved.
WITH ordered AS (
    SELECT
        key_of(session_id) AS session, user_id, started_at, outcome,
        lag(maybe(started_at)) OVER of_user AS before, lead(maybe(started_at)) OVER of_user AS after
    FROM sessions
    WHERE user_id <> 0 AND started_at > $before_since AND started_at <= $until
    WINDOW of_user AS (PARTITION BY user_id ORDER BY started_at, key_of(session_id))
),
judged AS (
    SELECT
        session, user_id, outcome,
        started_at > $since AS in_window,
        started_at > hours_before($since, $within_h)
        AND started_at <= hours_before($until, $within_h) AS is_over,
        coalesce(elapsed_ms(before, started_at) <= $within_h * 3600000, false) AS is_repeat,
        coalesce(elapsed_ms(started_at, after) <= $within_h * 3600000, false) AS comes_again
    FROM ordered
),
answered AS (
    SELECT DISTINCT key_of(session_id) AS session
    FROM processing_metrics
    WHERE end_time > $before_since AND end_time <= $until AND stage = 'user_delivery' AND success
)
SELECT
    count(*) FILTER (WHERE in_window) AS sessions,
    count(*) FILTER (WHERE in_window AND is_repeat) AS repeats,
    count(DISTINCT user_id) FILTER (WHERE in_window AND is_repeat) AS users_again,
    count(*) FILTER (WHERE is_over AND NOT is_repeat) AS first_contacts,
    count(*) FILTER (WHERE is_over AND NOT is_repeat AND comes_again) AS came_again,
    count(*) FILTER (WHERE is_over AND NOT is_repeat AND NOT comes_again AND NOT got_answer) AS not_answered,
    count(*) FILTER (WHERE is_over AND NOT is_repeat AND NOT comes_again AND got_answer) AS resolved
FROM (
    SELECT j.*, coalesce(j.outcome = 'delivered', false) OR a.session IS NOT NULL AS got_answer
    FROM judged AS j
    LEFT JOIN answered AS a USING (session)
);
