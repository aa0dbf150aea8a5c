-- What: the calls of models in a window, their tokens and their money, by several groupings at once.
--   A call is a stage with tokens or a cost (ai_processing and correction_ai: also with a model alone), or a span of a
--   model. Of a stage and the spans below it that tell of tokens or a cost only the spans count, so that no token counts
--   twice; spans that tell of neither do not count where what is above or below them does, nor where they failed. Money is the recorded
--   cost, else tokens times rates.
-- Parameters: since, until, reach (TIMESTAMP, UTC; spans are read from reach on), zone (of days), currency (of costs
--   recorded without one, and of all sums), most (so many of the dearest sessions), rate_* (lists: `analytics.prices`).
-- Returns: grouping (all, stage, model, prompt, day, currency, session, reason), stage, model, provider, prompt_version,
--   day, money, session_id, reason (why there is no price), calls, priced_calls, foreign_calls (in another currency),
--   unpriced_calls, calls_without_tokens, input_tokens, output_tokens, total_tokens, known_cost, least_cost, most_cost,
--   own_cost (in the group's own currency).
WITH rates AS (
    SELECT
        texts($rate_model)[i] AS model, texts($rate_provider)[i] AS provider, moments($rate_since)[i] AS since, moments($rate_until)[i] AS until,
        wholes($rate_over)[i] AS over_tokens, wholes($rate_up_to)[i] AS up_to, reals($rate_request)[i] AS request,
        reals($rate_input)[i] AS input, reals($rate_output)[i] AS output, reals($rate_least)[i] AS least, reals($rate_most)[i] AS most
    FROM (SELECT unnest(range(1, length($rate_model) + 1)) AS i)
),
model_spans AS (
    SELECT
        session_id, span_id, parent_span_id, start_time, end_time > $since AS is_inside, model, provider, input_tokens, output_tokens,
        cost, currency, coalesce(input_tokens, output_tokens) IS NOT NULL OR cost IS NOT NULL AS bears
    FROM spans
    WHERE end_time > $reach AND end_time <= $until
        AND ((model IS NOT NULL AND success) OR input_tokens IS NOT NULL OR output_tokens IS NOT NULL OR cost IS NOT NULL)
),
topped AS (SELECT above, bool_or(bears) AS bears FROM drawn_climb WHERE above <> '' GROUP BY above),
stages AS MATERIALIZED (
    SELECT
        session_id, span_id, stage, start_time, end_time > $since AND end_time <= $until AS is_inside, model, provider, prompt_version,
        input_tokens, output_tokens, total_tokens, cost, currency, success,
        coalesce(input_tokens, output_tokens, total_tokens) IS NOT NULL OR cost IS NOT NULL AS bears
    FROM processing_metrics
    WHERE end_time > $since
        AND (coalesce(input_tokens, output_tokens, total_tokens) IS NOT NULL OR cost IS NOT NULL OR model IS NOT NULL)
),
bearers AS (
    SELECT span_id FROM (SELECT span_id FROM stages WHERE bears UNION ALL SELECT span_id FROM model_spans WHERE bears)
    ANTI JOIN (SELECT above AS span_id FROM topped WHERE bears) USING (span_id)
),
covered AS (SELECT DISTINCT c.origin FROM drawn_climb AS c JOIN bearers AS b ON b.span_id = c.above WHERE NOT c.bears),
placed AS (
    SELECT c.origin, any_value(s.stage) AS stage, any_value(s.model) AS model, any_value(s.provider) AS provider, any_value(s.prompt_version) AS prompt_version
    FROM drawn_climb AS c
    JOIN (
        SELECT span_id, stage, model, provider, prompt_version FROM processing_metrics WHERE end_time > $since
        UNION ALL
        SELECT span_id, stage, NULL, NULL, NULL FROM running
    ) AS s ON s.span_id = c.above
    GROUP BY c.origin
),
calls AS (
    SELECT session_id, stage, start_time, model, provider, prompt_version, input_tokens, output_tokens, total_tokens, cost, currency
    FROM stages AS s
    LEFT JOIN topped AS t ON t.above = s.span_id
    WHERE s.is_inside AND (s.bears OR (s.model IS NOT NULL AND s.success AND s.stage IN ('ai_processing', 'correction_ai')))
        AND (t.above IS NULL OR (s.bears AND NOT t.bears))
    UNION ALL
    SELECT
        m.session_id, p.stage, m.start_time, coalesce(m.model, p.model), coalesce(m.provider, p.provider), p.prompt_version,
        m.input_tokens, m.output_tokens, NULL, m.cost, m.currency
    FROM model_spans AS m
    LEFT JOIN topped AS t ON t.above = m.span_id
    LEFT JOIN placed AS p ON p.origin = m.span_id
    WHERE m.is_inside AND (t.above IS NULL OR (m.bears AND NOT t.bears)) AND m.span_id NOT IN (SELECT origin FROM covered)
),
counted AS (
    SELECT
        c.session_id, c.stage, c.model, coalesce(trim(c.provider), '') AS provider, c.start_time,
        coalesce(c.prompt_version, s.prompt_version) AS prompt_version,
        CASE WHEN isfinite(c.cost) AND c.cost >= 0 THEN c.cost END AS cost, upper(trim(c.currency)) AS currency,
        CASE WHEN c.input_tokens >= 0 THEN c.input_tokens WHEN c.total_tokens >= c.output_tokens THEN c.total_tokens - c.output_tokens END AS input_tokens,
        CASE WHEN c.output_tokens >= 0 THEN c.output_tokens WHEN c.total_tokens >= c.input_tokens THEN c.total_tokens - c.input_tokens END AS output_tokens,
        CASE WHEN c.total_tokens >= 0 THEN c.total_tokens END AS total_tokens
    FROM calls AS c
    LEFT JOIN (SELECT session_id, prompt_version FROM sessions WHERE prompt_version IS NOT NULL) AS s USING (session_id)
),
reckoned AS (
    SELECT
        c.*, r.model IS NOT NULL AS is_listed, r.request + c.total_tokens * r.least AS least, r.request + c.total_tokens * r.most AS most,
        r.request
        + CASE WHEN r.input IS NOT NULL THEN c.input_tokens * r.input WHEN coalesce(c.input_tokens, 0) = 0 THEN 0 END
        + CASE WHEN r.output IS NOT NULL THEN c.output_tokens * r.output WHEN coalesce(c.output_tokens, 0) = 0 THEN 0 END AS computed
    FROM counted AS c
    LEFT JOIN rates AS r ON r.model = c.model AND r.provider = c.provider AND c.start_time >= r.since AND c.start_time < r.until
        AND coalesce(c.input_tokens, c.total_tokens, 0) > r.over_tokens AND coalesce(c.input_tokens, c.total_tokens, 0) <= r.up_to
        AND (r.input IS NOT NULL OR r.output IS NOT NULL)
),
priced AS MATERIALIZED (
    SELECT
        session_id, stage, model, provider, prompt_version, local_time(start_time, $zone)::DATE AS day, input_tokens, output_tokens,
        coalesce(total_tokens, input_tokens + output_tokens) AS total_tokens, coalesce(cost, computed) AS amount,
        coalesce(cost, computed, least) AS least, coalesce(cost, computed, most) AS most,
        CASE WHEN cost IS NOT NULL THEN coalesce(nullif(currency, ''), $currency) WHEN coalesce(computed, least) IS NOT NULL THEN 'USD' END AS money,
        CASE
            WHEN coalesce(cost, computed) IS NOT NULL THEN NULL
            WHEN coalesce(input_tokens, output_tokens, total_tokens) IS NULL THEN 'no tokens'
            WHEN model IS NULL THEN 'no model'
            WHEN NOT is_listed THEN 'no price for the model'
            WHEN input_tokens IS NULL AND output_tokens IS NULL THEN 'only a total of tokens'
            ELSE 'not all tokens'
        END AS reason
    FROM reckoned
),
dearest AS (
    SELECT session_id
    FROM priced
    GROUP BY session_id
    ORDER BY sum(amount) FILTER (WHERE money = $currency) DESC NULLS LAST, session_id
    LIMIT $most
),
-- One small table for all groupings.
cells AS (
    SELECT
        stage, model, provider, prompt_version, day, money, reason, count(*) AS calls,
        count(*) FILTER (WHERE amount IS NOT NULL AND money = $currency) AS priced_calls,
        count(*) FILTER (WHERE amount IS NOT NULL AND money <> $currency) AS foreign_calls,
        count(*) FILTER (WHERE amount IS NULL) AS unpriced_calls,
        count(*) FILTER (WHERE total_tokens IS NULL) AS calls_without_tokens,
        sum(input_tokens)::BIGINT AS input_tokens, sum(output_tokens)::BIGINT AS output_tokens, sum(total_tokens)::BIGINT AS total_tokens,
        sum(amount) FILTER (WHERE money = $currency) AS known_cost,
        count(least) FILTER (WHERE money = $currency) AS with_least, sum(least) AS least_cost,
        count(most) FILTER (WHERE money = $currency) AS with_most, sum(most) AS most_cost, sum(amount) AS own_cost
    FROM priced
    GROUP BY stage, model, provider, prompt_version, day, money, reason
),
grouped AS (
    SELECT
        CASE
            WHEN grouping(reason) = 0 THEN 'reason' WHEN grouping(stage) = 0 THEN 'stage' WHEN grouping(model) = 0 THEN 'model'
            WHEN grouping(prompt_version) = 0 THEN 'prompt' WHEN grouping(day) = 0 THEN 'day' WHEN grouping(money) = 0 THEN 'currency'
            ELSE 'all'
        END AS grouping,
        stage, model, provider, prompt_version, day, money, NULL::VARCHAR AS session_id, reason, coalesce(sum(calls), 0)::BIGINT AS calls,
        coalesce(sum(priced_calls), 0)::BIGINT AS priced_calls, coalesce(sum(foreign_calls), 0)::BIGINT AS foreign_calls,
        coalesce(sum(unpriced_calls), 0)::BIGINT AS unpriced_calls, coalesce(sum(calls_without_tokens), 0)::BIGINT AS calls_without_tokens,
        sum(input_tokens)::BIGINT AS input_tokens, sum(output_tokens)::BIGINT AS output_tokens, sum(total_tokens)::BIGINT AS total_tokens,
        sum(known_cost) AS known_cost,
        CASE WHEN sum(with_least) = sum(calls) THEN sum(least_cost) END AS least_cost,
        CASE WHEN sum(with_most) = sum(calls) THEN sum(most_cost) END AS most_cost,
        sum(own_cost) AS own_cost
    FROM cells
    GROUP BY GROUPING SETS ((), (stage), (model, provider), (prompt_version), (day), (money), (model, provider, reason))
    UNION ALL
    SELECT 'session', NULL, NULL, NULL, NULL, NULL, NULL, session_id, NULL, count(*)::BIGINT AS calls,
        (count(*) FILTER (WHERE amount IS NOT NULL AND money = $currency))::BIGINT AS priced_calls,
        (count(*) FILTER (WHERE amount IS NOT NULL AND money <> $currency))::BIGINT AS foreign_calls,
        (count(*) FILTER (WHERE amount IS NULL))::BIGINT AS unpriced_calls,
        (count(*) FILTER (WHERE total_tokens IS NULL))::BIGINT AS calls_without_tokens,
        sum(input_tokens)::BIGINT AS input_tokens, sum(output_tokens)::BIGINT AS output_tokens, sum(total_tokens)::BIGINT AS total_tokens,
        sum(amount) FILTER (WHERE money = $currency) AS known_cost,
        CASE WHEN count(least) FILTER (WHERE money = $currency) = count(*) THEN sum(least) END AS least_cost,
        CASE WHEN count(most) FILTER (WHERE money = $currency) = count(*) THEN sum(most) END AS most_cost,
        sum(amount) AS own_cost
    FROM priced
    WHERE session_id IN (SELECT session_id FROM dearest)
    GROUP BY session_id
)
SELECT * REPLACE (nullif(provider, '') AS provider)
FROM grouped
ORDER BY grouping, day, known_cost DESC NULLS LAST, calls DESC, stage, model, provider, prompt_version, session_id;
