"""Answers for the HTTP server (builtins §12.1): Maps that it interprets."""

from __future__ import annotations

from ..values.kinds import Value
from ..values.text import text

_HTMX = '<script src="https://unpkg.com/htmx.org@2.0.4"></script>'


def response(*args: Value) -> dict[str, Value]:
    """`response(status, body, header, value, …)`"""
    made: dict[str, Value] = {
        "_status": args[0] if args else 200,
        "_body": args[1] if len(args) > 1 else None,
    }
    for i in range(2, len(args) - 1, 2):
        made[text(args[i])] = args[i + 1]
    return made


def html(*args: Value) -> dict[str, Value]:
    """`html(body)` or `html(status, body)`"""
    status, body = (args[0], args[1]) if len(args) > 1 else (200, args[0] if args else "")
    return {
        "_status": status,
        "_body": _with_htmx(text(body)),
        "_content_type": "text/html; charset=utf-8",
    }


def _with_htmx(page: str) -> str:
    """Pages that use htmx attributes and do not load it get its script."""
    whole = any(tag in page for tag in ("<html", "<!DOCTYPE", "<!doctype"))
    if not whole or "hx-" not in page or "htmx.org" in page:
        return page
    for mark in ("</head>", "<body"):
        if mark in page:
            return page.replace(mark, _HTMX + mark, 1)
    return _HTMX + page


def redirect(*args: Value) -> dict[str, Value]:
    return {"_status": 302, "_body": "", "Location": text(args[0]) if args else "/"}


def sse(*args: Value) -> dict[str, Value]:
    """An event stream of these names."""
    return {"_sse": True, "_streams": [text(v) for v in args]}
