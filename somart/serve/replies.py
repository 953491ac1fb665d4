"""What a handler returned, as an HTTP response (spec 3 §8.3). No I/O."""

from __future__ import annotations

from ..errors import CONFLICT, NO_QUORUM, UNAVAILABLE, UNKNOWN, SomaError, type_error
from ..values import Value, text
from ..values.jsontext import to_json
from .message import HTML_TYPE, JSON_TYPE, TEXT_TYPE, BadHeader, Response, check_header

_EMPTY = b"{}"
_CLUSTER_STATUS = {CONFLICT: 409, NO_QUORUM: 503, UNAVAILABLE: 503, UNKNOWN: 504}
_LATER = (("Retry-After", "1"),)


def reply(value: Value) -> Response:
    """The response to a handler's value. Raises SomaError for an unusable status or header."""
    if type(value) is dict:
        if "_status" in value:
            return _explicit(value)
        if value.get("_sse") is True:
            return stream_reply(value)
    return Response(200, body_of(value))


def body_of(value: Value) -> bytes:
    """The JSON body: Maps and Lists as they are, everything else under `result`."""
    kind = type(value)
    if kind is dict or kind is list:
        return _encode(to_json(value))
    if value is None:
        return _EMPTY
    if kind is str and value[:1] in ("{", "["):
        return _encode(value)
    return _encode(f'{{"result": {to_json(value)}}}')


def stream_reply(value: dict[str, Value]) -> Response:
    """The head of an event stream; its names filter the events, none means all."""
    names = value.get("_streams")
    chosen = tuple(text(name) for name in names) if isinstance(names, list) else ()
    headers = (("Cache-Control", "no-cache"),)
    return Response(200, content_type="text/event-stream", headers=headers, stream=chosen)


def _explicit(value: dict[str, Value]) -> Response:
    """A Map with `_status`, as `response`, `html` and `redirect` make it."""
    given = {k: text(v) for k, v in value.items() if not k.startswith("_")}
    named = next((v for k, v in given.items() if k.lower() == "content-type"), JSON_TYPE)
    content_type = text(value.get("_content_type", named))
    headers = tuple((k, v) for k, v in given.items() if k.lower() != "content-type")
    try:
        for name, header in (*headers, ("Content-Type", content_type)):
            check_header(name, header)
    except BadHeader as error:
        raise type_error(str(error)) from error
    body = value.get("_body")
    if "json" in content_type:
        content = body_of(body)
    else:
        content = (
            b"" if body is None else _encode(text(body) if type(body) is str else to_json(body))
        )
    return Response(_status(value["_status"]), content, content_type, headers)


def _status(value: Value) -> int:
    """The status code; what is no Int means 200 (builtins §12.1)."""
    if type(value) is not int:
        return 200
    if not 200 <= value <= 599:
        raise type_error(f"response status must be an Int from 200 to 599, got {text(value)}")
    return value


def _encode(content: str) -> bytes:
    return content.encode("utf-8", "replace")


def error_reply(error: SomaError) -> Response:
    """500 with the error's text; of a cluster another status, and whether it is certain that
    nothing has happened (`definite`): then the request can be sent again."""
    message = str(error)
    status = _CLUSTER_STATUS.get(error.kind)
    if status is None:
        return Response(500, _encode(f'{{"error": {to_json(message)}}}'), error=message)
    definite = "true" if error.kind != UNKNOWN else "false"
    body = _encode(f'{{"error": {to_json(message)}, "definite": {definite}}}')
    return Response(status, body, headers=_LATER if status == 503 else (), error=message)


def refusal_reply(status: int, reason: str) -> Response:
    """The answer to a request that was refused; the connection closes after it."""
    body = _encode(f'{{"error": {to_json(reason)}}}')
    return Response(status, body, error=reason, close=True)


def not_ready(reason: str) -> Response:
    """503 with what the node is waiting for."""
    why = f', "reason": {to_json(reason)}' if reason else ""
    return Response(503, _encode(f'{{"status": "not ready"{why}}}'), headers=_LATER)


def plain(status: int, content: str) -> Response:
    """A short text."""
    return Response(status, _encode(content), TEXT_TYPE)


def page(content: str) -> Response:
    """An HTML page of the runtime, which may not load anything from elsewhere."""
    policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
    headers = (("Content-Security-Policy", policy), ("Cache-Control", "no-store"))
    return Response(200, _encode(content), HTML_TYPE, headers)
