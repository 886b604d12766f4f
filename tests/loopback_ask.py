"""
Asks the simulated server directly, without a client's interpretation.

For the server's own tests; everything else goes through the real client.
"""

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.loopback_llm import FAILSAFE_S, LoopbackLLM


@dataclass(frozen=True, slots=True)
class Got:
    """One response as it came."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def content(self) -> str:
        return str(self.json["choices"][0]["message"]["content"])


def connect(server: LoopbackLLM) -> http.client.HTTPConnection:
    """A connection of one's own."""
    port = int(server.base_url.removesuffix("/v1").rpartition(":")[2])
    return http.client.HTTPConnection("127.0.0.1", port, timeout=FAILSAFE_S)


def chat_body(text: str, **fields: Any) -> dict[str, Any]:
    """A request with one message."""
    return {"model": "m", "messages": [{"role": "user", "content": text}], **fields}


def schema_format(name: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    """The response_format that asks for a schema."""
    return {"type": "json_schema", "json_schema": {"name": name, "schema": schema}}


def send(server: LoopbackLLM, body: bytes, *, key: str = "k") -> Got:
    """The response to any bytes sent as a chat request."""
    connection = connect(server)
    try:
        headers = {"authorization": f"Bearer {key}"}
        connection.request("POST", "/v1/chat/completions", body, headers)
        response = connection.getresponse()
        return Got(response.status, dict(response.headers), response.read())
    finally:
        connection.close()


def ask(server: LoopbackLLM, text: str = "Write an article.", **fields: Any) -> Got:
    """The response to a chat request with one message."""
    return send(server, json.dumps(chat_body(text, **fields)).encode())
