"""`http_get` and `http_post` (builtins §12.3). Failures are values: a Map with `error`."""

from __future__ import annotations

from ..errors import type_error
from ..values.jsontext import from_json
from ..values.kinds import Value
from ..values.text import text
from .http_exchange import HTTPFailure, Request, fetch

TIMEOUT_MS = 30_000  # a handler must not hang on a peer that never answers


def _option(options: Value, name: str) -> int | None:
    """A positive Int among the options; everything else is as if it were not there."""
    value = options.get(name) if type(options) is dict else None
    return value if type(value) is int and value > 0 else None


async def http_get(*args: Value) -> Value:
    """The body of a page; Maps and Lists when it is JSON. Options: `timeout` (ms), `max_bytes`."""
    if not args or type(args[0]) is not str:
        raise type_error("http_get(url)")
    options = args[1] if len(args) > 1 else None
    request = Request("GET", args[0], max_bytes=_option(options, "max_bytes"))
    body = await _body(request, _option(options, "timeout") or TIMEOUT_MS)
    if type(body) is str and body.startswith(("{", "[")):
        return from_json(body)
    return body


async def http_post(*args: Value) -> Value:
    """The answer to a body sent as JSON, parsed if it is JSON itself."""
    if len(args) < 2 or type(args[0]) is not str:
        raise type_error("http_post(url, body)")
    body = await _body(Request("POST", args[0], text(args[1]).encode()), TIMEOUT_MS)
    return from_json(body) if type(body) is str else body


async def _body(request: Request, timeout_ms: int) -> Value:
    import trio

    with trio.move_on_after(timeout_ms / 1000):
        try:
            return await fetch(request)
        except HTTPFailure as failure:
            return {"error": str(failure)}
    return {"error": f"{request.url}: Network Error: timed out"}
