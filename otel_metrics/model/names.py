"""Owns every OpenTelemetry name that this package writes, each with a line of meaning (conventions: `hitl.`, human in the loop)."""

SCOPE = "otel_metrics"
SCHEMA_URL = "https://opentelemetry.io/schemas/1.37.0"

# --- attributes of semantic conventions -------------------------------------------------------------------
SESSION_ID = "session.id"  # on every span of a session
USER_HASH = "user.hash"  # keyed hash of the user's id
ERROR_TYPE = "error.type"  # class of the exception, or "failed"
GEN_AI_OPERATION = "gen_ai.operation.name"  # chat, text_completion, embeddings, …
GEN_AI_CONVERSATION = "gen_ai.conversation.id"  # on model calls: the session's id
GEN_AI_PROVIDER = "gen_ai.provider.name"
GEN_AI_SYSTEM = "gen_ai.system"  # the older name of the provider
GEN_AI_REQUEST_MODEL = "gen_ai.request.model"
GEN_AI_RESPONSE_MODEL = "gen_ai.response.model"
GEN_AI_INPUT = "gen_ai.usage.input_tokens"
GEN_AI_OUTPUT = "gen_ai.usage.output_tokens"
GEN_AI_TEXTS = (
    "gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions", "gen_ai.tool.definitions",
    "gen_ai.tool.call.arguments", "gen_ai.tool.call.result", "gen_ai.prompt", "gen_ai.completion", "gen_ai.event.content",
)  # fmt: skip
"""How the attributes begin that hold what people and models wrote; they are stored only where content capture is on."""
GEN_AI_NO_TEXTS = ("gen_ai.prompt.name", "gen_ai.prompt.version")  # what begins like them and names a prompt

# --- our own attributes -----------------------------------------------------------------------------------
STAGE = "hitl.stage.name"  # one of ProcessingStage, or any short name
CHAT = "hitl.chat.id"  # keyed hash of the chat's id
MODERATOR = "hitl.moderator.id"  # keyed hash of the moderator's id
MESSAGE = "hitl.message.id"  # keyed hash of the id of the message that was reviewed
PLATFORM = "hitl.platform.name"  # telegram, discord, slack
OUTCOME = "hitl.session.outcome"  # one of SessionOutcome
RETRIES = "hitl.stage.retry.count"  # how often the stage was tried again
WAIT = "hitl.moderation.wait.duration"  # seconds that a draft waited for a moderator
API_METHOD = "hitl.api.method"  # the method of a platform's API that was called: sendMessage
DROP_REASON = "hitl.drop.reason"  # why a record could not be kept: an errno's name, disk_cap, fault_in_…
USAGE_CALLS = "hitl.usage.calls"  # how many calls of models a stage held
USAGE_INPUT = (
    "hitl.usage.input_tokens"  # the sum of a stage's calls that tell; not gen_ai.usage: backends would count twice
)
USAGE_OUTPUT = "hitl.usage.output_tokens"  # the same for what the models wrote
USAGE_PROVIDER = "hitl.usage.provider"  # of the stage's last call
USAGE_REQUEST_MODEL = "hitl.usage.request_model"  # what the stage's last call asked for
USAGE_RESPONSE_MODEL = "hitl.usage.response_model"  # what answered it
COST = "hitl.usage.cost.amount"  # the sum of a stage's calls, where the price of each is known
COST_CURRENCY = "hitl.usage.cost.currency"
COST_SOURCE = "hitl.usage.cost.source"  # the list that the prices are of
METADATA_PREFIX = "hitl.metadata."  # a user's own metadata, one attribute a key

# --- the correction event and its attributes ----------------------------------------------------------------
CORRECTION_EVENT = "hitl.correction"  # the span event
CORRECTION_SPAN = "hitl.correction"  # the short span that carries the event where no stage is live
CORRECTION_ID = "hitl.correction.id"
CORRECTION_TYPE = "hitl.correction.type"
CORRECTION_EDIT_DISTANCE = "hitl.correction.edit_distance"  # word edit rate, 0 = unchanged
CORRECTION_SIMILARITY = "hitl.correction.similarity"  # 0 to 1, character level
CORRECTION_DURATION = "hitl.correction.duration"  # seconds of a moderator's work
CORRECTION_AI_DURATION = "hitl.correction.ai.duration"  # seconds of the model that helped
CORRECTION_RETRIES = "hitl.correction.retry.count"  # how often it was tried again
CORRECTION_ORIGINAL_HASH = "hitl.correction.original.hash"  # keyed hash of the draft
CORRECTION_CORRECTED_HASH = "hitl.correction.corrected.hash"  # keyed hash of what it became
CORRECTION_ORIGINAL_LENGTH = "hitl.correction.original.length"  # characters
CORRECTION_CORRECTED_LENGTH = "hitl.correction.corrected.length"  # characters
REVIEW_DECISION = "hitl.review.decision"  # approved, edited, rejected or escalated (an approval has no correction)
APPROVAL = "hitl.delivery.approval"  # as_approved, differs, after_rejection or not_known
DELIVERY_EVENT = "hitl.delivery.not_as_approved"  # the span event of a delivery that is not what was approved
SATISFACTION = "hitl.review.satisfaction"  # 1 to 5
TRANSCRIPTION = "hitl.transcription.duration"  # seconds

# --- the key in an OpenTelemetry context under which the record of the stage in progress stands ---------------
STAGE_CONTEXT = "otel_metrics.stage"
ROOT_CONTEXT = "otel_metrics.root"  # the ids that a session's root span is to get
HANDLING_CONTEXT = "otel_metrics.handling"  # the session of the update that is being handled

# --- spans --------------------------------------------------------------------------------------------------
SESSION_SPAN = "session"  # the root span of a session's trace

# --- metrics (unit) -------------------------------------------------------------------------------------------
M_STAGE_DURATION = "hitl.stage.duration"  # s, by hitl.stage.name, platform, error.type
M_STAGE_RETRIES = "hitl.stage.retries"  # {retry}
M_SESSION_DURATION = "hitl.session.duration"  # s, by outcome
M_CORRECTIONS = "hitl.corrections"  # {correction}, by type
M_REVIEW_DURATION = "hitl.review.duration"  # s, by decision
M_DELIVERIES = "hitl.deliveries"  # {delivery}, by approval
M_SATISFACTION = "hitl.review.satisfaction"  # 1
M_WAIT = "hitl.moderation.wait.duration"  # s
M_EMITTED = "hitl.records.emitted"  # {record}: emitted = stored + waiting + dropped, for each process
M_STORED = "hitl.records.stored"  # {record}
M_WAITING = "hitl.records.waiting"  # {record}, in the journal alone
M_DROPPED = "hitl.records.dropped"  # {record}, by hitl.drop.reason
M_MESSAGE_LENGTH = "hitl.message.length"  # {character}, by direction

SECONDS_BOUNDS = (0.005, 0.02, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 1800, 3600, 14400, 43200, 86400)
"""Histogram bounds in seconds: from a quick stage to a draft that waits for a day."""
