"""A Slack app as its documentation writes one: it greets, and opens a modal."""

import os

from slack_bolt import App
from slack_sdk import WebClient

client = WebClient(token=os.environ["SLACK_BOT_TOKEN"], base_url=os.environ["SLACK_API"])
app = App(client=client, signing_secret=os.environ["SLACK_SIGNING_SECRET"])


@app.message("question")
def greet(message, say):
    say(f"Hey there <@{message['user']}>!")


@app.command("/ask")
def ask(ack, body, client):
    ack()
    client.views_open(trigger_id=body["trigger_id"], view={"type": "modal", "callback_id": "ask"})


if __name__ == "__main__":
    app.start(port=int(os.environ["PORT"]), http_server_logger_enabled=False)
