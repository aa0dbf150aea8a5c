-- The dashboard's questions as one would write them by hand for ClickHouse and the generator's rows: the yardstick of clickhouse.py.
-- Parameters: $since, $until. It takes for granted what handwritten.sql does too, and that every session has its root.
-- The tables are the same, and read without what was sent twice (FINAL) as well. `hand` is a database of its own.
CREATE DATABASE IF NOT EXISTS hand;

CREATE OR REPLACE VIEW hand.processing_metrics AS SELECT session_id, stage, start_time, end_time, success, user_id, moderator_id, model, provider, prompt_version, intent, input_tokens, output_tokens, total_tokens, input_length, output_length, decision, text_hash, speech_seconds, nullif(SpanAttributes['error.type'], '') AS error_type FROM default.otel_traces FINAL WHERE kind = 'stage';

CREATE OR REPLACE VIEW hand.correction_metrics AS
SELECT session_id, timestamp, correction_type, admin_user_id, processing_time_ms, word_edit_rate, similarity, admin_satisfaction, original_length, corrected_length, voice_transcription_time_ms, transcription_quality, reason
FROM default.hitl_corrections FINAL;

CREATE OR REPLACE VIEW hand.sessions AS
SELECT session_id, user_id, start_time AS started_at, end_time AS ended_at, SpanAttributes['hitl.session.outcome'] AS outcome
FROM default.otel_traces FINAL WHERE kind = 'root';

-- corrections: by type
SELECT correction_type, count(*) AS corrections, avg(processing_time_ms), avg(word_edit_rate), avg(similarity), avg(admin_satisfaction)
FROM hand.correction_metrics WHERE timestamp > $since AND timestamp <= $until GROUP BY ALL;

-- corrections: by moderator
SELECT
    admin_user_id, count(*) AS corrections, count(*) FILTER (WHERE correction_type = 'rejection') AS rejections, avg(admin_satisfaction),
    avg(processing_time_ms), avg(word_edit_rate), avg(word_edit_rate) FILTER (WHERE correction_type <> 'rejection')
FROM hand.correction_metrics WHERE timestamp > $since AND timestamp <= $until GROUP BY ALL;

-- overview
SELECT count(*) AS sessions, avg(took_us) / 1e3 AS mean_ms, 100 * sum(succeeded) / sum(stages) AS success_rate
FROM (
    SELECT toUnixTimestamp64Micro(max(end_time)) - toUnixTimestamp64Micro(min(start_time)) AS took_us, count(*) AS stages, countIf(success) AS succeeded
    FROM hand.processing_metrics WHERE end_time > $since AND end_time <= $until GROUP BY session_id
);

-- processing_by_stage
SELECT stage, count(*) AS runs, avg(took_us) / 1e3 AS mean_ms, quantilesExactInclusive(0.5, 0.95, 0.99)(took_us), sum(took_us) / 1e3 AS total_ms, 100 * countIf(success) / count(*) AS success_rate
FROM (
    SELECT stage, success, toUnixTimestamp64Micro(end_time) - toUnixTimestamp64Micro(start_time) AS took_us
    FROM hand.processing_metrics WHERE end_time > $since AND end_time <= $until
)
GROUP BY stage;

-- corrections: the rate
SELECT
    (SELECT uniqExact(session_id) FROM hand.processing_metrics WHERE end_time > $since AND end_time <= $until) AS sessions,
    (SELECT uniqExact(session_id) FROM hand.correction_metrics WHERE timestamp > $since AND timestamp <= $until AND correction_type <> 'rejection') AS corrected;

-- Beyond the contract: the sections of the single subjects.

-- What several questions want of a session, read once.
CREATE OR REPLACE TEMPORARY TABLE times AS
SELECT
    session_id, min(start_time) AS first_start, max(end_time) AS last_end,
    min(start_time) FILTER (WHERE stage = 'query_received') AS asked_at,
    min(end_time) FILTER (WHERE stage = 'user_delivery' AND success) AS answered_at
FROM hand.processing_metrics WHERE end_time > $since AND end_time <= $until GROUP BY session_id;

CREATE OR REPLACE TEMPORARY TABLE corrected AS
SELECT session_id, max(correction_type <> 'rejection') AS edited, max(correction_type = 'rejection') AS rejected
FROM hand.correction_metrics WHERE timestamp > $since AND timestamp <= $until GROUP BY session_id;

CREATE OR REPLACE TEMPORARY TABLE drafts AS
SELECT session_id, end_time, model, prompt_version, intent, coalesce(edited, 0) AS edited, coalesce(rejected, 0) AS rejected
FROM hand.processing_metrics LEFT JOIN corrected USING (session_id)
WHERE stage = 'ai_processing' AND end_time > $since AND end_time <= $until;

CREATE OR REPLACE TEMPORARY TABLE reviews AS
SELECT session_id, end_time, toUnixTimestamp64Micro(end_time) - toUnixTimestamp64Micro(start_time) AS took_us, moderator_id, decision, cityHash64(text_hash) AS text
FROM hand.processing_metrics WHERE stage = 'admin_review' AND end_time > $since AND end_time <= $until;

-- overview, stages (end to end), users (answers)
SELECT count(*) AS sessions, avg(took_us) / 1e3 AS mean_ms, quantilesExactInclusive(0.5, 0.95)(took_us) AS percentiles_us, sum(took_us) AS whole_us
FROM (SELECT toUnixTimestamp64Micro(last_end) - toUnixTimestamp64Micro(first_start) AS took_us FROM times);

-- processing_by_stage, stages (by stage, by hour, by day), overview (success), system (failed stages)
SELECT
    stage, hour, day, count(*) AS runs,
    count(*) FILTER (WHERE NOT success) AS failed, sum(took_us) / 1e3 AS total_ms, avg(took_us) / 1e3 AS mean_ms,
    quantilesExactInclusive(0.5, 0.95, 0.99)(took_us) AS percentiles_us
FROM (
    SELECT stage, success, toUnixTimestamp64Micro(end_time) - toUnixTimestamp64Micro(start_time) AS took_us, date_trunc('hour', end_time) AS hour, CAST(end_time AS DATE) AS day
    FROM hand.processing_metrics WHERE end_time > $since AND end_time <= $until
)
GROUP BY GROUPING SETS ((stage), (stage, hour), (stage, day));

-- stages: errors
SELECT stage, coalesce(error_type, 'unknown') AS error_type, count(*) AS errors, max(end_time) AS last_at
FROM hand.processing_metrics WHERE NOT success AND end_time > $since AND end_time <= $until GROUP BY ALL ORDER BY errors DESC;

-- corrections: by model, prompt version and intent; since when each is in use
SELECT model, prompt_version, intent, count(*) AS sessions, count(*) FILTER (WHERE edited) AS corrected, min(end_time) AS since
FROM drafts GROUP BY GROUPING SETS ((model), (prompt_version), (intent));

-- corrections: the rate, in all and by day
SELECT CAST(first_start AS DATE) AS day, count(*) AS sessions, count(*) FILTER (WHERE edited) AS corrected
FROM times LEFT JOIN corrected USING (session_id) GROUP BY ROLLUP (day) ORDER BY day;

-- corrections: sizes of edits
SELECT
    correction_type, count(*) AS edits,
    quantilesExactInclusive(0.5, 0.9)(word_edit_rate), avg(word_edit_rate), quantilesExactInclusive(0.5, 0.9)(1 - similarity), avg(1 - similarity),
    quantilesExactInclusive(0.5, 0.9)(original_length), avg(original_length), quantilesExactInclusive(0.5, 0.9)(corrected_length), avg(corrected_length)
FROM hand.correction_metrics WHERE correction_type <> 'rejection' AND timestamp > $since AND timestamp <= $until GROUP BY ROLLUP (correction_type);

-- corrections: buckets of edits
SELECT
    CASE
        WHEN word_edit_rate IS NULL THEN 'unknown' WHEN word_edit_rate = 0 THEN 'unchanged' WHEN word_edit_rate < 0.1 THEN 'light'
        WHEN word_edit_rate < 0.5 THEN 'medium' ELSE 'heavy'
    END AS bucket, count(*) AS edits
FROM hand.correction_metrics WHERE correction_type <> 'rejection' AND timestamp > $since AND timestamp <= $until GROUP BY ALL;

-- corrections: reasons of rejections
SELECT reason, count(*) AS rejections
FROM hand.correction_metrics WHERE correction_type = 'rejection' AND timestamp > $since AND timestamp <= $until GROUP BY ALL;

-- corrections: spoken and typed ones, and how well speech was understood
SELECT
    voice_transcription_time_ms IS NOT NULL OR correction_type = 'voice_correction' AS spoken, transcription_quality, count(*) AS corrections,
    quantilesExactInclusive(0.5, 0.9)(processing_time_ms), quantilesExactInclusive(0.5, 0.9)(voice_transcription_time_ms), avg(word_edit_rate),
    avg(admin_satisfaction)
FROM hand.correction_metrics WHERE correction_type <> 'rejection' AND timestamp > $since AND timestamp <= $until
GROUP BY GROUPING SETS ((spoken), (transcription_quality));

-- moderators
SELECT
    moderator_id, count(*) AS reviews, count(*) FILTER (WHERE decision = 'approved') AS approvals, count(*) FILTER (WHERE decision = 'edited') AS edits,
    count(*) FILTER (WHERE decision = 'rejected') AS rejections, count(*) FILTER (WHERE decision IS NULL) AS undecided, sum(took_us) / 1e3 AS active_ms,
    count(DISTINCT date_trunc('hour', end_time)) AS active_hours, quantilesExactInclusive(0.5, 0.9)(took_us) AS percentiles_us
FROM reviews GROUP BY moderator_id;

-- moderators: approvals in less time than the draft takes to read, which was sent as it was
SELECT reviews.moderator_id, count(*) AS judged, count(*) FILTER (WHERE took_us < 6e7 * output_length / (238 * 6.1)) AS too_fast
FROM reviews JOIN hand.processing_metrics AS sent USING (session_id)
WHERE reviews.decision = 'approved' AND output_length IS NOT NULL AND sent.end_time > $since AND sent.end_time <= $until
GROUP BY ALL;

-- moderators: decisions of two about the same session
SELECT one.moderator_id, other.moderator_id, count(*) AS items, count(*) FILTER (WHERE one.decision = other.decision) AS equal
FROM reviews AS one JOIN reviews AS other ON one.session_id = other.session_id AND one.moderator_id < other.moderator_id
GROUP BY ALL;

-- capacity: drafts that wait now
SELECT count(*) AS waiting, quantileExactInclusive(0.5)(toUnixTimestamp64Micro($until) - toUnixTimestamp64Micro(end_time)) AS median_us, min(end_time) AS oldest_since
FROM drafts ANTI JOIN reviews USING (session_id) WHERE session_id NOT IN (SELECT session_id FROM hand.sessions WHERE ended_at IS NOT NULL);

-- capacity: arrivals, in all and by hour of the week; in time is within ten minutes
SELECT
    toDayOfWeek(start_time) AS weekday, toHour(start_time) AS hour, count(*) AS drafts, count(*) FILTER (WHERE success) AS picked_up,
    avg(CASE WHEN toUnixTimestamp64Micro(end_time) - toUnixTimestamp64Micro(start_time) <= 6e8 THEN 1 ELSE 0 END) AS in_time,
    quantilesExactInclusive(0.5, 0.9)(toUnixTimestamp64Micro(end_time) - toUnixTimestamp64Micro(start_time)) AS waits_us
FROM hand.processing_metrics WHERE stage = 'moderation_queue' AND end_time > $since AND end_time <= $until GROUP BY GROUPING SETS ((), (weekday, hour));

-- capacity: how often there was such an hour
SELECT toDayOfWeek(hour) AS weekday, toHour(hour) AS hour_of_day, count(*) AS hours
FROM (SELECT toDateTime(arrayJoin(range(toUInt32((SELECT toStartOfHour(min(first_start)) FROM times)), toUInt32(toDateTime($until)), 3600)), 'UTC') AS hour) GROUP BY ALL;

-- capacity: who was there
SELECT toDayOfWeek(hour) AS weekday, toHour(hour) AS hour_of_day, avg(moderators) AS present
FROM (SELECT date_trunc('hour', end_time) AS hour, count(DISTINCT moderator_id) AS moderators FROM reviews GROUP BY ALL) GROUP BY ALL;

-- capacity: handling of a session; cost: minutes of moderators
SELECT count(*) AS reviews, avg(took_us) / 1e3 AS mean_ms, quantileExactInclusive(0.9)(took_us) / 1e3 AS p90_ms, sum(took_us) / 6e7 AS minutes
FROM (
    SELECT sum(toUnixTimestamp64Micro(end_time) - toUnixTimestamp64Micro(start_time)) AS took_us
    FROM hand.processing_metrics WHERE stage IN ('admin_review', 'correction_processing') AND end_time > $since AND end_time <= $until
    GROUP BY session_id
);

-- cost: by stage, model, prompt version and day, out of one small table
WITH prices AS (SELECT * FROM values('model String, input Float64, output Float64', ('gpt-4o-mini', 0.15e-6, 0.6e-6), ('gpt-4o', 2.5e-6, 10e-6))),
counted AS (
    SELECT stage, model, provider, prompt_version, CAST(end_time AS DATE) AS day, count(*) AS calls, count(total_tokens) AS with_tokens,
        sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens, sum(total_tokens) AS total_tokens
    FROM hand.processing_metrics WHERE model IS NOT NULL AND end_time > $since AND end_time <= $until GROUP BY ALL
)
SELECT stage, model, provider, prompt_version, day, sum(calls), sum(with_tokens), sum(input_tokens), sum(output_tokens), sum(total_tokens),
    sum(calls) FILTER (WHERE input IS NULL) AS unpriced, sum(input_tokens * input + output_tokens * output) AS cost
FROM counted LEFT JOIN prices USING (model) GROUP BY GROUPING SETS ((), (stage), (model, provider), (prompt_version), (day));

-- cost: the dearest ten sessions
WITH prices AS (SELECT * FROM values('model String, input Float64, output Float64', ('gpt-4o-mini', 0.15e-6, 0.6e-6), ('gpt-4o', 2.5e-6, 10e-6)))
SELECT session_id, count(*) AS calls, sum(input_tokens), sum(output_tokens), sum(total_tokens), sum(input_tokens * input + output_tokens * output) AS cost
FROM hand.processing_metrics LEFT JOIN prices USING (model) WHERE model IS NOT NULL AND end_time > $since AND end_time <= $until
GROUP BY session_id ORDER BY cost DESC NULLS LAST LIMIT 10;

-- cost: minutes of speech
SELECT sum(speech_seconds) / 60 FROM hand.processing_metrics WHERE speech_seconds IS NOT NULL AND end_time > $since AND end_time <= $until;

-- cost: answers that were delivered
SELECT count(*) FROM times LEFT JOIN hand.sessions USING (session_id) WHERE outcome = 'delivered' OR (outcome IS NULL AND answered_at IS NOT NULL);

-- users: sessions of each, and the ten with most
CREATE OR REPLACE TEMPORARY TABLE by_user AS
SELECT user_id, count(*) AS sessions FROM hand.sessions WHERE started_at > $since AND started_at <= $until AND user_id <> 0 GROUP BY ALL;

SELECT count(*) AS users, sum(sessions) AS sessions, avg(sessions), quantilesExactInclusive(0.5, 0.95)(sessions), max(sessions) FROM by_user;

SELECT CASE WHEN sessions < 4 THEN sessions WHEN sessions < 10 THEN 4 ELSE 10 END AS at_least, count(*) AS users, sum(sessions) FROM by_user GROUP BY ALL;

SELECT user_id, sessions FROM by_user ORDER BY sessions DESC, user_id LIMIT 10;

-- users: by hour of the day and by weekday
SELECT toHour(started_at) AS hour, toDayOfWeek(started_at) AS weekday, count(*) AS sessions
FROM hand.sessions WHERE started_at > $since AND started_at <= $until GROUP BY GROUPING SETS ((hour), (weekday));

-- users: who comes again within a day
WITH visits AS (
    SELECT user_id, started_at, outcome = 'delivered' AS answered,
        dateDiff('second', lag(toNullable(started_at)) OVER each_user, started_at) <= 86400 AS again, dateDiff('second', started_at, lead(toNullable(started_at)) OVER each_user) <= 86400 AS followed
    FROM hand.sessions WHERE started_at > $since AND started_at <= $until AND user_id <> 0
    WINDOW each_user AS (PARTITION BY user_id ORDER BY started_at)
)
SELECT
    count(*) FILTER (WHERE again) AS repeats, count(DISTINCT user_id) FILTER (WHERE again) AS who, count(*) FILTER (WHERE is_first) AS first_contacts, count(*) FILTER (WHERE is_first AND followed) AS came_again,
    count(*) FILTER (WHERE is_first AND NOT coalesce(followed, 0) AND NOT answered) AS not_answered
FROM (SELECT *, NOT coalesce(again, 0) AND started_at + INTERVAL 24 HOUR <= $until AS is_first FROM visits);

-- users: answers; in time are those of sessions that asked so long ago
SELECT
    count(took_us) AS answered, avg(took_us), quantilesExactInclusive(0.5, 0.9, 0.95)(took_us),
    count(*) FILTER (WHERE asked_at <= $until - INTERVAL 1 MINUTE), count(*) FILTER (WHERE asked_at <= $until - INTERVAL 1 MINUTE AND took_us <= 6e7),
    count(*) FILTER (WHERE asked_at <= $until - INTERVAL 10 MINUTE), count(*) FILTER (WHERE asked_at <= $until - INTERVAL 10 MINUTE AND took_us <= 6e8),
    count(*) FILTER (WHERE asked_at <= $until - INTERVAL 1 HOUR), count(*) FILTER (WHERE asked_at <= $until - INTERVAL 1 HOUR AND took_us <= 3.6e9)
FROM (SELECT asked_at, toUnixTimestamp64Micro(answered_at) - toUnixTimestamp64Micro(asked_at) AS took_us FROM times WHERE asked_at > $since);

-- users: sessions without an answer
SELECT outcome, count(*) AS sessions, min(started_at) AS oldest
FROM hand.sessions WHERE started_at > $since AND started_at <= $until AND session_id NOT IN (SELECT session_id FROM times WHERE answered_at IS NOT NULL)
GROUP BY ALL;

-- users: lengths of questions and answers
SELECT
    count(input_length), avg(input_length), quantilesExactInclusive(0.5, 0.9, 0.95)(input_length), max(input_length),
    count(output_length), avg(output_length), quantilesExactInclusive(0.5, 0.9, 0.95)(output_length), max(output_length)
FROM hand.processing_metrics WHERE stage IN ('query_received', 'final_response') AND end_time > $since AND end_time <= $until;

-- system: the queue at its longest and at each full hour
WITH steps AS (
    SELECT moment, step
    FROM hand.processing_metrics ARRAY JOIN [start_time, end_time] AS moment, [1, -1] AS step
    WHERE stage = 'moderation_queue' AND end_time > $since AND end_time <= $until
),
levels AS (SELECT moment, sum(step) OVER (ORDER BY moment, step) AS waiting FROM steps)
SELECT date_trunc('hour', moment) AS hour, max(waiting) AS longest, argMax(moment, waiting) AS longest_at, argMax(waiting, moment) AS at_the_end
FROM levels GROUP BY hour ORDER BY hour;

-- safe_to_send: each intent with the prompt version that came into use last
SELECT
    intent, prompt_version, count(*) AS decided, count(*) FILTER (WHERE decision = 'approved' AND NOT edited AND NOT drafts.rejected) AS unchanged,
    sum(took_us) / 1e3 AS review_ms
FROM drafts JOIN reviews USING (session_id)
WHERE (intent, prompt_version) IN (
    SELECT (intent, argMax(prompt_version, since)) FROM (SELECT intent, prompt_version, min(end_time) AS since FROM drafts GROUP BY ALL) GROUP BY intent
)
GROUP BY ALL;

-- oversight: decisions by moderator; those of corrections are known by their rows, approvals by the reviews
SELECT moderator, decision, count(*) AS decisions
FROM (
    SELECT admin_user_id AS moderator, CASE correction_type WHEN 'rejection' THEN 'rejected' ELSE 'edited' END AS decision
    FROM hand.correction_metrics WHERE timestamp > $since AND timestamp <= $until
    UNION ALL
    SELECT moderator_id, decision FROM reviews WHERE decision = 'approved' OR session_id NOT IN (SELECT session_id FROM corrected)
)
GROUP BY ALL;

-- oversight: the last hundred decisions, with the texts of draft, approval and delivery
WITH made AS (
    SELECT * FROM (
        SELECT timestamp AS time, session_id, admin_user_id AS moderator_id, CASE correction_type WHEN 'rejection' THEN 'rejected' ELSE 'edited' END AS decision
        FROM hand.correction_metrics WHERE timestamp > $since AND timestamp <= $until
        UNION ALL
        SELECT end_time, session_id, moderator_id, decision FROM reviews WHERE decision = 'approved'
    )
    ORDER BY time DESC LIMIT 100
)
SELECT
    made.*, max(text_hash) FILTER (WHERE stage = 'ai_processing') AS draft, max(text_hash) FILTER (WHERE stage = 'admin_review') AS approved,
    max(text_hash) FILTER (WHERE stage = 'user_delivery') AS delivered
FROM made JOIN hand.processing_metrics AS stages USING (session_id) WHERE stages.end_time > $since AND stages.end_time <= $until
GROUP BY ALL ORDER BY time DESC;

-- oversight: deliveries beside what was approved
SELECT
    count(*) AS deliveries, count(*) FILTER (WHERE text = cityHash64(text_hash)) AS as_approved, count(*) FILTER (WHERE text <> cityHash64(text_hash)) AS differing,
    count(*) FILTER (WHERE reviews.decision = 'rejected') AS after_rejection, count(*) FILTER (WHERE reviews.session_id IS NULL) AS not_reviewed
FROM hand.processing_metrics AS sent LEFT JOIN reviews USING (session_id)
WHERE stage = 'user_delivery' AND success AND sent.end_time > $since AND sent.end_time <= $until;

-- oversight: the newest deliveries that differ, came after a rejection or were not reviewed
SELECT sent.end_time, session_id, reviews.moderator_id, reviews.decision, text_hash
FROM hand.processing_metrics AS sent LEFT JOIN reviews USING (session_id)
WHERE stage = 'user_delivery' AND success AND sent.end_time > $since AND sent.end_time <= $until
    AND (text <> cityHash64(text_hash) OR reviews.decision = 'rejected' OR reviews.session_id IS NULL)
ORDER BY sent.end_time DESC LIMIT 100;
