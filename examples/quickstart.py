"""One session of a moderated bot, from the question to the delivered answer, in the fewest lines.

Run it, then look: `otel-metrics dashboard`, `otel-metrics sessions`, `otel-metrics session ID`.
"""

import time

from otel_metrics import (
    CorrectionType,
    ProcessingStage,
    configure,
    create_session,
    end_session,
    record_correction,
    record_stage,
    timer,
)

USER, CHAT, MODERATOR = 4711, 4711, 99


def main() -> str:
    """Plays the session and gives its id."""
    configure()  # metrics.db and metrics.jsonl in the current folder; every setting has an environment variable too
    session = create_session(USER, CHAT, platform="telegram")

    with timer(session, USER, CHAT, ProcessingStage.QUERY_RECEIVED):
        question = "Where is my order?"

    with timer(session, USER, CHAT, ProcessingStage.AI_PROCESSING, model="gpt-4o") as stage:
        draft = f"You asked: {question} It is on the way."
        stage.metadata["tokens_used"] = 42
        stage.text(draft)  # only a keyed hash and the length are kept: `otel-metrics oversight` compares by them

    queued_at = time.time()  # the only thing that has to travel with the item is the session's id
    record_stage(session, USER, CHAT, ProcessingStage.MODERATION_QUEUE, start_time=queued_at)

    with timer(session, USER, CHAT, ProcessingStage.ADMIN_REVIEW, admin_user_id=MODERATOR):
        answer = "Your order is on its way and arrives tomorrow."
        record_correction(
            session, MODERATOR, "message-1", CorrectionType.TEXT_CORRECTION, draft, answer, 1200, admin_satisfaction=4
        )

    with timer(session, USER, CHAT, ProcessingStage.USER_DELIVERY) as stage:
        stage.text(answer)
        print(answer)

    end_session(session, "delivered")
    return session


if __name__ == "__main__":
    print("session", main())
