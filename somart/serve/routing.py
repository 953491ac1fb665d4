"""Which handler answers a request, and with which arguments (spec 3 §8.2). No I/O."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from ..errors import no_handler, wrong_arity
from ..values import I64_MAX, I64_MIN, Value
from ..values.jsontext import to_json
from .bodies import decode_percent, parse_body, parse_query
from .message import TEXT_TYPE, Refused, Request, Response

METHODS = "GET, POST, PUT, DELETE, OPTIONS"
_SYSTEM_PAGES = ("", "health", "ready", "cluster")
_DECIMAL = re.compile(r"[+-]?[0-9]{1,30}")


class HandlerLike(Protocol):
    """What routing needs to know of a handler."""

    @property
    def name(self) -> str: ...

    @property
    def params(self) -> tuple[str, ...]: ...


@dataclass(slots=True)  # not frozen: one is made for each request, and that takes twice as long
class Call:
    """A handler of the served cell, to be invoked with these arguments."""

    handler: str
    args: list[Value]


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file below `static/`; the name is percent-decoded and not yet confined."""

    name: str


@dataclass(frozen=True, slots=True)
class SystemPage:
    """A page of the runtime under `/__soma`: `""`, `health`, `ready` or `cluster`."""

    name: str


Route = Call | StaticFile | SystemPage | Response


class Router:
    """The routing table of a served cell. Raises Refused and SomaError from `route`."""

    def __init__(self, cell: str, handlers: Iterable[HandlerLike]) -> None:
        self._cell = cell
        self._handlers: Mapping[str, HandlerLike] = {info.name: info for info in handlers}
        self.public = [name for name in self._handlers if not name.startswith("_")]
        self._direct = {f"/{name}": self._handlers[name] for name in self.public}

    def route(self, request: Request) -> Route:
        """The first rule that matches; HEAD is routed like GET.

        Raises Refused (400, 405) for what is no request for us, SomaError for wrong arguments.
        """
        method = request.method
        if method == "OPTIONS":
            return Response(204, headers=(("Allow", METHODS),))
        if method in ("CONNECT", "TRACE"):
            raise Refused(405, f"method {method} is not served")
        path = _path_of(request)
        handler = self._direct.get(path)
        if handler is not None:
            return self._call_handler(handler, [], request)
        return self._route_path(path, request)

    def _route_path(self, path: str, request: Request) -> Route:
        if path.startswith("/static/"):
            return _static(path, request.method)
        name = _system_name(path)
        if name is not None:
            return _system(name, request)
        if path.startswith("/signal/"):
            return self._signal(path, request)
        segments = [part for part in path.split("/") if part]
        handler = self._direct.get(f"/{decode_percent(segments[0])}") if segments else None
        if handler is not None:
            return self._call_handler(handler, [path_argument(s) for s in segments[1:]], request)
        if "request" in self._handlers:
            return self._call_request(path, request)
        return self.not_found(request)

    def not_found(self, request: Request) -> Response:
        """404 with the names of the public handlers."""
        message = to_json(f"no handler for '{request.target}'")
        available = to_json([", ".join(self.public)])
        body = f'{{"error": {message}, "available": {available}}}'
        return Response(404, body.encode())

    def _signal(self, path: str, request: Request) -> Route:
        name = decode_percent(path.removeprefix("/signal/"))
        if name.startswith("_"):
            message = to_json(f"no handler for '{request.target}'")
            return Response(404, f'{{"error": {message}}}'.encode())
        handler = self._handlers.get(name)
        if handler is None:
            raise no_handler(name, self._cell)
        return _checked(handler, [value for _, value in parse_query(request.query)])

    def _call_handler(self, handler: HandlerLike, args: list[Value], request: Request) -> Call:
        if request.query:
            args.extend([value for _, value in parse_query(request.query)])
        if request.method == "POST" and request.body:
            _add_body(handler, args, parse_body(request.body))
        return _checked(handler, args)

    def _call_request(self, path: str, request: Request) -> Call:
        handler = self._handlers["request"]
        method = "GET" if request.method == "HEAD" else request.method
        args: list[Value] = [method, path, parse_body(request.body)]
        if len(handler.params) == 4:
            args.append(dict(parse_query(request.query)))
        return _checked(handler, args)


def _path_of(request: Request) -> str:
    """The path of any form of request target (RFC 9112 §3.2)."""
    path = request.path
    if not path.startswith("/"):
        scheme, separator, rest = path.partition("://")
        if not separator or scheme.lower() not in ("http", "https"):
            raise Refused(400, "unusable request target")
        path = f"/{rest.partition('/')[2]}"
    if "#" in request.target:
        raise Refused(400, "request target with a fragment")
    return path


def _static(path: str, method: str) -> Route:
    if method not in ("GET", "HEAD"):
        return method_not_allowed("GET, HEAD")
    return StaticFile(decode_percent(path.removeprefix("/static/")))


def _system_name(path: str) -> str | None:
    """The page of the runtime that a path asks for; None when it asks for none."""
    if path != "/__soma" and not path.startswith("/__soma/"):
        return None
    name = path.removeprefix("/__soma").strip("/")
    return name if name in _SYSTEM_PAGES else None


def _system(name: str, request: Request) -> Route:
    if request.method not in ("GET", "HEAD"):
        return method_not_allowed("GET, HEAD")
    return SystemPage(name)


def method_not_allowed(allowed: str) -> Response:
    """405, with what would be allowed."""
    return Response(405, b"method not allowed", TEXT_TYPE, (("Allow", allowed),))


def path_argument(segment: str) -> Value:
    """A path segment: an Int when it parses as a 64-bit integer, else a String."""
    text = decode_percent(segment)
    if _DECIMAL.fullmatch(text) is not None:
        number = int(text)
        if I64_MIN <= number <= I64_MAX:
            return number
    return text


def _add_body(handler: HandlerLike, args: list[Value], body: Value) -> None:
    """Fills the parameters that the URL left open from a POST body."""
    if type(body) is not dict:
        args.append(body)
        return
    unfilled = handler.params[len(args) :]
    if len(unfilled) == 1 and unfilled[0] not in body:
        args.append(body)
    else:
        args.extend([body.get(name) for name in unfilled])


def _checked(handler: HandlerLike, args: list[Value]) -> Call:
    if len(args) != len(handler.params):
        raise wrong_arity(handler.name, len(handler.params), len(args))
    return Call(handler.name, args)
