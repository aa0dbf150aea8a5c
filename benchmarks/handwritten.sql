-- The dashboard's questions as one would write them by hand for the generator's files alone: the yardstick of dashboard.py.
-- Parameters: $since, $until (timestamps). Views: processing_metrics, correction_metrics, sessions.
-- It takes for granted what those files are like: stages of a session do not overlap, calls of models are stages, a
-- session has one draft and one review, the time zone is UTC, nothing is running. None of that is true of every store.

-- What several questions want of a session, read once.
CREATE TEMP TABLE times AS
SELECT
    session_id, min(start_time) AS first_start, max(end_time) AS last_end,
    min(start_time) FILTER (stage = 'query_received') AS asked_at,
    min(end_time) FILTER (stage = 'user_delivery' AND success) AS answered_at
FROM processing_metrics WHERE end_time > $since AND end_time <= $until GROUP BY session_id;

CREATE TEMP TABLE corrected AS
SELECT session_id, bool_or(correction_type <> 'rejection') AS edited, bool_or(correction_type = 'rejection') AS rejected
FROM correction_metrics WHERE timestamp > $since AND timestamp <= $until GROUP BY session_id;

CREATE TEMP TABLE drafts AS
SELECT session_id, end_time, model, prompt_version, intent, edited IS TRUE AS edited, rejected IS TRUE AS rejected
FROM processing_metrics LEFT JOIN corrected USING (session_id)
WHERE stage = 'ai_processing' AND end_time > $since AND end_time <= $until;

CREATE TEMP TABLE reviews AS
SELECT session_id, end_time, epoch_us(end_time) - epoch_us(start_time) AS took_us, moderator_id, decision, hash(text_hash) AS text
FROM processing_metrics WHERE stage = 'admin_review' AND end_time > $since AND end_time <= $until;

-- overview, stages (end to end), users (answers)
SELECT count(*) AS sessions, avg(took_us) / 1e3 AS mean_ms, quantile_cont(took_us, [0.5, 0.95]) AS percentiles_us, sum(took_us) AS whole_us
FROM (SELECT epoch_us(last_end) - epoch_us(first_start) AS took_us FROM times);

-- processing_by_stage, stages (by stage, by hour, by day), overview (success), system (failed stages)
SELECT
    stage, CASE GROUPING(hour) WHEN 0 THEN hour END AS hour, CASE GROUPING(day) WHEN 0 THEN day END AS day, count(*) AS runs,
    count(*) FILTER (NOT success) AS failed, sum(took_us) / 1e3 AS total_ms, avg(took_us) / 1e3 AS mean_ms,
    quantile_cont(took_us, [0.5, 0.95, 0.99]) AS percentiles_us
FROM (
    SELECT stage, success, epoch_us(end_time) - epoch_us(start_time) AS took_us, date_trunc('hour', end_time) AS hour, CAST(end_time AS DATE) AS day
    FROM processing_metrics WHERE end_time > $since AND end_time <= $until
)
GROUP BY GROUPING SETS ((stage), (stage, hour), (stage, day));

-- stages: errors
SELECT stage, coalesce(error_type, 'unknown') AS error_type, count(*) AS errors, max(end_time) AS last_at
FROM processing_metrics WHERE NOT success AND end_time > $since AND end_time <= $until GROUP BY ALL ORDER BY errors DESC;

-- corrections: by type
SELECT correction_type, count(*) AS corrections, avg(processing_time_ms), avg(word_edit_rate), avg(similarity), avg(admin_satisfaction)
FROM correction_metrics WHERE timestamp > $since AND timestamp <= $until GROUP BY ALL;

-- corrections: by moderator
SELECT
    admin_user_id, count(*) AS corrections, count(*) FILTER (correction_type = 'rejection') AS rejections, avg(admin_satisfaction),
    avg(processing_time_ms), avg(word_edit_rate), avg(word_edit_rate) FILTER (correction_type <> 'rejection')
FROM correction_metrics WHERE timestamp > $since AND timestamp <= $until GROUP BY ALL;

-- corrections: by model, prompt version and intent; since when each is in use
SELECT model, prompt_version, intent, count(*) AS sessions, count(*) FILTER (edited) AS corrected, min(end_time) AS since
FROM drafts GROUP BY GROUPING SETS ((model), (prompt_version), (intent));

-- corrections: the rate, in all and by day
SELECT CAST(first_start AS DATE) AS day, count(*) AS sessions, count(*) FILTER (edited) AS corrected
FROM times LEFT JOIN corrected USING (session_id) GROUP BY ROLLUP (day) ORDER BY day;

-- corrections: sizes of edits
SELECT
    correction_type, count(*) AS edits,
    quantile_cont(word_edit_rate, [0.5, 0.9]), avg(word_edit_rate), quantile_cont(1 - similarity, [0.5, 0.9]), avg(1 - similarity),
    quantile_cont(original_length, [0.5, 0.9]), avg(original_length), quantile_cont(corrected_length, [0.5, 0.9]), avg(corrected_length)
FROM correction_metrics WHERE correction_type <> 'rejection' AND timestamp > $since AND timestamp <= $until GROUP BY ROLLUP (correction_type);

-- corrections: buckets of edits
SELECT
    CASE
        WHEN word_edit_rate IS NULL THEN 'unknown' WHEN word_edit_rate = 0 THEN 'unchanged' WHEN word_edit_rate < 0.1 THEN 'light'
        WHEN word_edit_rate < 0.5 THEN 'medium' ELSE 'heavy'
    END AS bucket, count(*) AS edits
FROM correction_metrics WHERE correction_type <> 'rejection' AND timestamp > $since AND timestamp <= $until GROUP BY ALL;

-- corrections: reasons of rejections
SELECT reason, count(*) AS rejections
FROM correction_metrics WHERE correction_type = 'rejection' AND timestamp > $since AND timestamp <= $until GROUP BY ALL;

-- corrections: spoken and typed ones, and how well speech was understood
SELECT
    voice_transcription_time_ms IS NOT NULL OR correction_type = 'voice_correction' AS spoken, transcription_quality, count(*) AS corrections,
    quantile_cont(processing_time_ms, [0.5, 0.9]), quantile_cont(voice_transcription_time_ms, [0.5, 0.9]), avg(word_edit_rate),
    avg(admin_satisfaction)
FROM correction_metrics WHERE correction_type <> 'rejection' AND timestamp > $since AND timestamp <= $until
GROUP BY GROUPING SETS ((spoken), (transcription_quality));

-- moderators
SELECT
    moderator_id, count(*) AS reviews, count(*) FILTER (decision = 'approved') AS approvals, count(*) FILTER (decision = 'edited') AS edits,
    count(*) FILTER (decision = 'rejected') AS rejections, count(*) FILTER (decision IS NULL) AS undecided, sum(took_us) / 1e3 AS active_ms,
    count(DISTINCT date_trunc('hour', end_time)) AS active_hours, quantile_cont(took_us, [0.5, 0.9]) AS percentiles_us
FROM reviews GROUP BY moderator_id;

-- moderators: approvals in less time than the draft takes to read, which was sent as it was
SELECT reviews.moderator_id, count(*) AS judged, count(*) FILTER (took_us < 6e7 * output_length / (238 * 6.1)) AS too_fast
FROM reviews JOIN processing_metrics AS sent USING (session_id)
WHERE reviews.decision = 'approved' AND output_length IS NOT NULL AND sent.end_time > $since AND sent.end_time <= $until
GROUP BY ALL;

-- moderators: decisions of two about the same session
SELECT one.moderator_id, other.moderator_id, count(*) AS items, count(*) FILTER (one.decision = other.decision) AS equal
FROM reviews AS one JOIN reviews AS other ON one.session_id = other.session_id AND one.moderator_id < other.moderator_id
GROUP BY ALL;

-- capacity: drafts that wait now
SELECT count(*) AS waiting, quantile_cont(epoch_us($until) - epoch_us(end_time), 0.5) AS median_us, max($until - end_time) AS oldest
FROM drafts ANTI JOIN reviews USING (session_id) WHERE session_id NOT IN (SELECT session_id FROM sessions WHERE ended_at IS NOT NULL);

-- capacity: arrivals, in all and by hour of the week; in time is within ten minutes
SELECT
    isodow(start_time) AS weekday, hour(start_time) AS hour, count(*) AS drafts, count(*) FILTER (success) AS picked_up,
    avg(CASE WHEN end_time - start_time <= INTERVAL 10 MINUTE THEN 1 ELSE 0 END) AS in_time,
    quantile_cont(epoch_us(end_time) - epoch_us(start_time), [0.5, 0.9]) AS waits_us
FROM processing_metrics WHERE stage = 'moderation_queue' AND end_time > $since AND end_time <= $until GROUP BY GROUPING SETS ((), (weekday, hour));

-- capacity: how often there was such an hour
SELECT isodow(hour) AS weekday, hour(hour) AS hour, count(*) AS hours
FROM range((SELECT date_trunc('hour', min(first_start)) FROM times), $until, INTERVAL 1 HOUR) AS t(hour) GROUP BY ALL;

-- capacity: who was there
SELECT isodow(hour) AS weekday, hour(hour) AS hour, avg(moderators) AS present
FROM (SELECT date_trunc('hour', end_time) AS hour, count(DISTINCT moderator_id) AS moderators FROM reviews GROUP BY ALL) GROUP BY ALL;

-- capacity: handling of a session; cost: minutes of moderators
SELECT count(*) AS reviews, avg(took_us) / 1e3 AS mean_ms, quantile_cont(took_us, 0.9) / 1e3 AS p90_ms, sum(took_us) / 6e7 AS minutes
FROM (
    SELECT sum(epoch_us(end_time) - epoch_us(start_time)) AS took_us
    FROM processing_metrics WHERE stage IN ('admin_review', 'correction_processing') AND end_time > $since AND end_time <= $until
    GROUP BY session_id
);

-- cost: by stage, model, prompt version and day, out of one small table
WITH prices(model, input, output) AS (VALUES ('gpt-4o-mini', 0.15e-6, 0.6e-6), ('gpt-4o', 2.5e-6, 10e-6)),
counted AS (
    SELECT stage, model, provider, prompt_version, CAST(end_time AS DATE) AS day, count(*) AS calls, count(total_tokens) AS with_tokens,
        sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens, sum(total_tokens) AS total_tokens
    FROM processing_metrics WHERE model IS NOT NULL AND end_time > $since AND end_time <= $until GROUP BY ALL
)
SELECT stage, model, provider, prompt_version, day, sum(calls), sum(with_tokens), sum(input_tokens), sum(output_tokens), sum(total_tokens),
    sum(calls) FILTER (input IS NULL) AS unpriced, sum(input_tokens * input + output_tokens * output) AS cost
FROM counted LEFT JOIN prices USING (model) GROUP BY GROUPING SETS ((), (stage), (model, provider), (prompt_version), (day));

-- cost: the dearest ten sessions
WITH prices(model, input, output) AS (VALUES ('gpt-4o-mini', 0.15e-6, 0.6e-6), ('gpt-4o', 2.5e-6, 10e-6))
SELECT session_id, count(*) AS calls, sum(input_tokens), sum(output_tokens), sum(total_tokens), sum(input_tokens * input + output_tokens * output) AS cost
FROM processing_metrics LEFT JOIN prices USING (model) WHERE model IS NOT NULL AND end_time > $since AND end_time <= $until
GROUP BY session_id ORDER BY cost DESC NULLS LAST LIMIT 10;

-- cost: minutes of speech
SELECT sum(speech_seconds) / 60 FROM processing_metrics WHERE speech_seconds IS NOT NULL AND end_time > $since AND end_time <= $until;

-- cost: answers that were delivered
SELECT count(*) FROM times LEFT JOIN sessions USING (session_id) WHERE outcome = 'delivered' OR (outcome IS NULL AND answered_at IS NOT NULL);

-- users: sessions of each, and the ten with most
CREATE TEMP TABLE by_user AS
SELECT user_id, count(*) AS sessions FROM sessions WHERE started_at > $since AND started_at <= $until AND user_id <> 0 GROUP BY ALL;

SELECT count(*) AS users, sum(sessions) AS sessions, avg(sessions), quantile_cont(sessions, [0.5, 0.95]), max(sessions) FROM by_user;

SELECT CASE WHEN sessions < 4 THEN sessions WHEN sessions < 10 THEN 4 ELSE 10 END AS at_least, count(*) AS users, sum(sessions) FROM by_user GROUP BY ALL;

SELECT user_id, sessions FROM by_user ORDER BY sessions DESC, user_id LIMIT 10;

-- users: by hour of the day and by weekday
SELECT hour(started_at) AS hour, isodow(started_at) AS weekday, count(*) AS sessions
FROM sessions WHERE started_at > $since AND started_at <= $until GROUP BY GROUPING SETS ((hour), (weekday));

-- users: who comes again within a day
WITH visits AS (
    SELECT user_id, started_at, outcome = 'delivered' AS answered,
        started_at - lag(started_at) OVER each_user <= INTERVAL 24 HOUR AS again, lead(started_at) OVER each_user - started_at <= INTERVAL 24 HOUR AS followed
    FROM sessions WHERE started_at > $since AND started_at <= $until AND user_id <> 0
    WINDOW each_user AS (PARTITION BY user_id ORDER BY started_at)
)
SELECT
    count(*) FILTER (again) AS repeats, count(DISTINCT user_id) FILTER (again) AS who, count(*) FILTER (first) AS first_contacts, count(*) FILTER (first AND followed) AS came_again,
    count(*) FILTER (first AND followed IS NOT TRUE AND NOT answered) AS not_answered
FROM (SELECT *, again IS NOT TRUE AND started_at + INTERVAL 24 HOUR <= $until AS first FROM visits);

-- users: answers; in time are those of sessions that asked so long ago
SELECT
    count(took_us) AS answered, avg(took_us), quantile_cont(took_us, [0.5, 0.9, 0.95]),
    count(*) FILTER (asked_at <= $until - INTERVAL 1 MINUTE), count(*) FILTER (asked_at <= $until - INTERVAL 1 MINUTE AND took_us <= 6e7),
    count(*) FILTER (asked_at <= $until - INTERVAL 10 MINUTE), count(*) FILTER (asked_at <= $until - INTERVAL 10 MINUTE AND took_us <= 6e8),
    count(*) FILTER (asked_at <= $until - INTERVAL 1 HOUR), count(*) FILTER (asked_at <= $until - INTERVAL 1 HOUR AND took_us <= 3.6e9)
FROM (SELECT asked_at, epoch_us(answered_at) - epoch_us(asked_at) AS took_us FROM times WHERE asked_at > $since);

-- users: sessions without an answer
SELECT outcome, count(*) AS sessions, min(started_at) AS oldest
FROM sessions WHERE started_at > $since AND started_at <= $until AND session_id NOT IN (SELECT session_id FROM times WHERE answered_at IS NOT NULL)
GROUP BY ALL;

-- users: lengths of questions and answers
SELECT
    count(input_length), avg(input_length), quantile_cont(input_length, [0.5, 0.9, 0.95]), max(input_length),
    count(output_length), avg(output_length), quantile_cont(output_length, [0.5, 0.9, 0.95]), max(output_length)
FROM processing_metrics WHERE stage IN ('query_received', 'final_response') AND end_time > $since AND end_time <= $until;

-- system: the queue at its longest and at each full hour
WITH steps AS (
    SELECT unnest([start_time, end_time]) AS moment, unnest([1, -1]) AS step
    FROM processing_metrics WHERE stage = 'moderation_queue' AND end_time > $since AND end_time <= $until
),
levels AS (SELECT moment, sum(step) OVER (ORDER BY moment, step) AS waiting FROM steps)
SELECT date_trunc('hour', moment) AS hour, max(waiting) AS longest, arg_max(moment, waiting) AS longest_at, arg_max(waiting, moment) AS at_the_end
FROM levels GROUP BY hour ORDER BY hour;

-- safe_to_send: each intent with the prompt version that came into use last
SELECT
    intent, prompt_version, count(*) AS decided, count(*) FILTER (decision = 'approved' AND NOT edited AND NOT drafts.rejected) AS unchanged,
    sum(took_us) / 1e3 AS review_ms
FROM drafts JOIN reviews USING (session_id)
WHERE (intent, prompt_version) IN (
    SELECT (intent, arg_max(prompt_version, since)) FROM (SELECT intent, prompt_version, min(end_time) AS since FROM drafts GROUP BY ALL) GROUP BY intent
)
GROUP BY ALL;

-- oversight: decisions by moderator; those of corrections are known by their rows, approvals by the reviews
SELECT moderator, decision, count(*) AS decisions
FROM (
    SELECT admin_user_id AS moderator, CASE correction_type WHEN 'rejection' THEN 'rejected' ELSE 'edited' END AS decision
    FROM correction_metrics WHERE timestamp > $since AND timestamp <= $until
    UNION ALL
    SELECT moderator_id, decision FROM reviews WHERE decision = 'approved' OR session_id NOT IN (SELECT session_id FROM corrected)
)
GROUP BY ALL;

-- oversight: the last hundred decisions, with the texts of draft, approval and delivery
WITH made AS (
    FROM (
        SELECT timestamp AS time, session_id, admin_user_id AS moderator_id, CASE correction_type WHEN 'rejection' THEN 'rejected' ELSE 'edited' END AS decision
        FROM correction_metrics WHERE timestamp > $since AND timestamp <= $until
        UNION ALL
        SELECT end_time, session_id, moderator_id, decision FROM reviews WHERE decision = 'approved'
    )
    ORDER BY time DESC LIMIT 100
)
SELECT
    made.*, max(text_hash) FILTER (stage = 'ai_processing') AS draft, max(text_hash) FILTER (stage = 'admin_review') AS approved,
    max(text_hash) FILTER (stage = 'user_delivery') AS delivered
FROM made JOIN processing_metrics AS stages USING (session_id) WHERE stages.end_time > $since AND stages.end_time <= $until
GROUP BY ALL ORDER BY time DESC;

-- oversight: deliveries beside what was approved
SELECT
    count(*) AS deliveries, count(*) FILTER (text = hash(text_hash)) AS as_approved, count(*) FILTER (text <> hash(text_hash)) AS differing,
    count(*) FILTER (reviews.decision = 'rejected') AS after_rejection, count(*) FILTER (reviews.session_id IS NULL) AS not_reviewed
FROM processing_metrics AS sent LEFT JOIN reviews USING (session_id)
WHERE stage = 'user_delivery' AND success AND sent.end_time > $since AND sent.end_time <= $until;

-- oversight: the newest deliveries that differ, came after a rejection or were not reviewed
SELECT sent.end_time, session_id, reviews.moderator_id, reviews.decision, text_hash
FROM processing_metrics AS sent LEFT JOIN reviews USING (session_id)
WHERE stage = 'user_delivery' AND success AND sent.end_time > $since AND sent.end_time <= $until
    AND (text <> hash(text_hash) OR reviews.decision = 'rejected' OR reviews.session_id IS NULL)
ORDER BY sent.end_time DESC LIMIT 100;
