"""A model's API on loopback that speaks OpenAI's JSON: chat completions, responses and embeddings, streamed or not, with faults on demand."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

Json = dict[str, Any]
QUESTION = "the-text-that-a-user-asked"
SECRET_ANSWER = "the-text-that-a-model-wrote"
API_KEY = "sk-loopback-0123456789abcdef"
TOKENS = (120, 30)


class _Server(ThreadingHTTPServer):
    request_queue_size = 128  # many calls may come at once
    daemon_threads = True


class ModelApi:
    """Answers by what `fault` says: "", an HTTP status, "malformed", "odd usage", "no usage", "cut" or "tool". Use it in `with`.

    `gate`, where it is set to an event, is waited for before each answer: calls stay open as long as a test wants.
    """

    def __init__(self) -> None:
        self.fault: str | int = ""
        self.gate: threading.Event | None = None
        self.arrived = threading.Semaphore(0)
        self.requests: list[Json] = []

    def __enter__(self) -> Self:
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"
        return self

    def __exit__(self, *error: object) -> None:
        if self.gate is not None:
            self.gate.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                api.requests.append(asked)
                api.arrived.release()
                if api.gate is not None:
                    api.gate.wait(20)
                if isinstance(api.fault, int):
                    error = {"message": f"no, {asked.get('input') or asked.get('messages')}", "type": "e", "code": None}
                    self._send(json.dumps({"error": error}).encode(), api.fault)
                elif api.fault == "malformed":
                    self._send(b'{"id": 7, "choices": "no list", "usage": [1, 2], "output": 3}')
                elif asked.get("stream"):
                    events = _CHUNKS[self.path.rsplit("/", 1)[-1]](asked, api.fault)
                    self._stream(events, cut=api.fault == "cut")
                else:
                    answer = _ANSWERS[self.path.rsplit("/", 1)[-1]](asked, api.fault)
                    self._send(json.dumps(answer).encode())

            def _send(self, body: bytes, status: int = 200) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def _stream(self, events: Iterator[bytes], *, cut: bool) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                self.close_connection = True
                for number, event in enumerate(events):
                    if cut and number == 2:
                        return
                    self.wfile.write(f"{len(event):x}\r\n".encode() + event + b"\r\n")
                    self.wfile.flush()
                self.wfile.write(b"0\r\n\r\n")

            def log_message(self, *words: object) -> None:
                pass

        return Handler


def _usage(fault: str | int, into: str, out: str) -> Json | None:
    if fault == "no usage":
        return None
    if fault == "odd usage":
        return {into: -5, out: 1 << 80, "total_tokens": -3}
    return {into: TOKENS[0], out: TOKENS[1], "total_tokens": sum(TOKENS)}


def _chat(asked: Json, fault: str | int) -> Json:
    message: Json = {"role": "assistant", "content": SECRET_ANSWER, "refusal": None}
    if fault == "tool":
        call = {
            "id": "call_1",
            "type": "function",
            "function": {"name": "look_up", "arguments": json.dumps({"q": SECRET_ANSWER})},
        }
        message = {"role": "assistant", "content": None, "tool_calls": [call]}
    return {
        "id": "chatcmpl-1", "object": "chat.completion", "created": int(time.time()), "model": _dated(asked),
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls" if fault == "tool" else "stop", "logprobs": None}],
        "usage": _usage(fault, "prompt_tokens", "completion_tokens"),
    }  # fmt: skip


def _chat_chunks(asked: Json, fault: str | int) -> Iterator[bytes]:
    base = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": int(time.time()), "model": _dated(asked)}
    for word in SECRET_ANSWER.split("-"):
        yield _event(
            {**base, "choices": [{"index": 0, "delta": {"role": "assistant", "content": word}, "finish_reason": None}]}
        )
    yield _event({**base, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    if (asked.get("stream_options") or {}).get("include_usage"):
        yield _event({**base, "choices": [], "usage": _usage(fault, "prompt_tokens", "completion_tokens")})
    yield b"data: [DONE]\n\n"


def _response(asked: Json, fault: str | int) -> Json:
    usage = _usage(fault, "input_tokens", "output_tokens")
    if usage is not None:
        usage |= {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}
    content = [{"type": "output_text", "text": SECRET_ANSWER, "annotations": []}]
    return {
        "id": "resp_1", "object": "response", "created_at": time.time(), "status": "completed", "model": _dated(asked),
        "output": [{"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": content}],
        "parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "usage": usage,
        "error": None, "incomplete_details": None, "instructions": None, "metadata": {}, "temperature": 1.0, "top_p": 1.0,
    }  # fmt: skip


def _response_chunks(asked: Json, fault: str | int) -> Iterator[bytes]:
    whole = _response(asked, fault)
    begun = {**whole, "status": "in_progress", "output": [], "usage": None}
    yield _event({"type": "response.created", "response": begun, "sequence_number": 0})
    for number, word in enumerate(SECRET_ANSWER.split("-"), 1):
        delta = {
            "type": "response.output_text.delta",
            "item_id": "msg_1",
            "output_index": 0,
            "content_index": 0,
            "delta": word,
        }
        yield _event({**delta, "sequence_number": number, "logprobs": []})
    yield _event({"type": "response.completed", "response": whole, "sequence_number": 99})


def _embeddings(asked: Json, fault: str | int) -> Json:
    return {
        "object": "list", "model": asked["model"], "data": [{"object": "embedding", "index": 0, "embedding": [0.5, 0.5]}],
        "usage": {"prompt_tokens": TOKENS[0], "total_tokens": TOKENS[0]},
    }  # fmt: skip


def _dated(asked: Json) -> str:
    """The full name with which a model answers to its short one."""
    return {"gpt-4o-mini": "gpt-4o-mini-2024-07-18"}.get(asked["model"], asked["model"])


def _event(data: Json) -> bytes:
    kind = f"event: {data['type']}\n" if "type" in data else ""
    return f"{kind}data: {json.dumps(data)}\n\n".encode()


_ANSWERS = {"completions": _chat, "responses": _response, "embeddings": _embeddings}
_CHUNKS = {"completions": _chat_chunks, "responses": _response_chunks}
