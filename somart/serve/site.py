"""The application behind the servers: a request in, a response out, whatever happens between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

import trio

from .. import calls
from ..errors import UNAVAILABLE, SomaError, as_soma_error
from ..idempotency import HEADER, Answers
from ..tracing import locate
from ..values import Value, text
from ..values.jsontext import to_json
from .limits import DEFAULT_LIMITS, ServeLimits
from .log import ServerLog
from .message import Refused, Request, Response
from .page import status_page
from .replies import error_reply, not_ready, page, plain, refusal_reply, reply
from .routing import METHODS, Call, Router, StaticFile, SystemPage
from .static import StaticFolder

if TYPE_CHECKING:
    from ..app import App, Ended
    from ..cell import Cell
    from ..spec import ProgramSpec


_CALL_HEADER = calls.HEADER.lower().encode()
TOKEN_HEADER = "Soma-Token"
_TOKEN = TOKEN_HEADER.lower().encode()


class Standing(Protocol):
    """What a site asks the node that it belongs to (`cluster.boot.ClusterNode`)."""

    @property
    def causal(self) -> bool:
        """Whether clients carry a token from node to node, to read there what they wrote."""

    def unready(self) -> str:
        """Why the node had better not be asked now; empty if it may."""

    def status(self) -> dict[str, object]:
        """What `/__soma/cluster` shows."""

    def token(self) -> str:
        """What this node has seen, for a client."""

    async def seen(self, token: str) -> None:
        """Returns when this node has seen as much. Raises SomaError when that takes too long."""


def served_cell(spec: ProgramSpec) -> type[Cell] | None:
    """The first cell with `on request`, else the first with any handler (spec 3 §8.1)."""
    with_handlers = [cell for cell in spec.live if cell.soma_handlers]
    with_request = (cell for cell in with_handlers if "request" in cell.soma_handlers)
    return next(with_request, with_handlers[0] if with_handlers else None)


@dataclass(frozen=True, slots=True)
class SiteOptions:
    """What a site allows. `cors` lists origins, `*` for all; the status page is for this machine
    only unless `page_everywhere`."""

    static_root: Path | None = None
    cors: tuple[str, ...] = ()
    page_everywhere: bool = False
    limits: ServeLimits = DEFAULT_LIMITS


class Site:
    """Routes requests to the handlers of the served cell.

    Requests that arrive before `open` wait; after `stop` the site says that it is not ready.
    """

    def __init__(
        self,
        app: App,
        cell: type[Cell],
        options: SiteOptions,
        log: ServerLog,
        node: Standing | None = None,
        answers: Answers | None = None,
    ) -> None:
        self.app = app
        self.cell = cell.soma_name
        self.has_socket = "ws" in cell.soma_handlers
        self.limits = options.limits
        self.log = log
        self.ready = False
        self._node = node
        self._answers = answers
        self._causal = node if node is not None and node.causal else None
        self._opened = trio.Event()
        self._options = options
        self._router = Router(cell.soma_name, cell.soma_handlers.values())
        self._static = StaticFolder(options.static_root, options.limits)

    def open(self) -> None:
        """Lets requests through: `on init` has run."""
        self.ready = True
        self._opened.set()

    def stop(self) -> None:
        """Says that no new work is welcome. Requests that wait for `open` go on."""
        self.ready = False
        self._opened.set()

    async def respond(self, request: Request, local: bool) -> Response:
        """The response; never raises for what the client or the program did."""
        try:
            calls.received(request.headers.get(_CALL_HEADER))
            known = request.route
            route = known if isinstance(known, Call) else self._router.route(request)
            if isinstance(route, Call):
                response = await self._call(route, request)
            else:
                response = await self._serve_page(route, request, local)
        except Refused as refusal:
            response = refusal_reply(refusal.status, refusal.reason)
        except calls.TooDeep:
            response = refusal_reply(508, "too many calls of this server wait for this one")
        except Exception as error:  # of the program or of the runtime: the client gets its text
            response = self._failed(error)
        if self._options.cors:
            self._allow_origin(request, response)
        return response

    async def _call(self, call: Call, request: Request) -> Response:
        node = self._causal
        if node is None:
            return await self._run(call, request)
        if (token := request.headers.get(_TOKEN)) is not None:
            await _caught_up(node, token.decode("latin-1"))
        return _with_token(await self._run(call, request), node)

    async def _run(self, call: Call, request: Request) -> Response:
        if self._answers is None or HEADER not in request.headers:
            return reply(await self.invoke(call.handler, call.args))
        await self._welcome(call.handler, call.args)
        _, body = self.app.lookup(self.cell, call.handler)
        owner: Cell = body.__self__  # type: ignore[attr-defined]
        keeping = self._answers.keeping(request, body)
        response: Response = await self.app.run(owner, True, keeping, call.args)
        return response

    def attempt(self, request: Request) -> Ended | None:
        """Runs the handler of a request up to its commit if nothing has to be waited for.

        `answer` makes the response once the commit is durable. None: call `respond`.
        """
        if not self._opened.is_set() or self.log.verbose or _CALL_HEADER in request.headers:
            return None
        if HEADER in request.headers:
            return None
        if self._causal is not None and _TOKEN in request.headers:
            return None
        try:
            route = self._router.route(request)
            if not isinstance(route, Call):
                return None
            request.route = route
            return self.app.begin(self.cell, route.handler, route.args)
        except (Refused, SomaError):
            return None

    def answer(self, request: Request, ended: Ended, failure: Exception | None = None) -> Response:
        """The response to a handler that has run; `failure` is that of its commit."""
        try:
            if failure is not None:
                raise failure
            response = reply(self.app.end(ended))
            if self._causal is not None:
                _with_token(response, self._causal)
        except Exception as error:  # of the program or of the runtime: the client gets its text
            response = self._failed(error)
        if self._options.cors:
            self._allow_origin(request, response)
        return response

    async def _serve_page(
        self, route: Response | StaticFile | SystemPage, request: Request, local: bool
    ) -> Response:
        if isinstance(route, Response):
            return route
        if isinstance(route, StaticFile):
            return await self._static.respond(route.name, request)
        return self._system_page(route, local)

    async def invoke(self, handler: str, args: Sequence[Value]) -> Value:
        """Runs a handler of the served cell. Raises SomaError."""
        await self._welcome(handler, args)
        return await self.app.invoke(self.cell, handler, args)

    async def _welcome(self, handler: str, args: Sequence[Value]) -> None:
        """Waits until the site is open, and logs what is called."""
        if not self._opened.is_set() and self.app.calls.caller() is None:
            await self._opened.wait()
        if self.log.verbose:
            self.log.detail("signal", handler)
            self.log.detail("args", ", ".join([text(arg) for arg in args]))

    def _failed(self, error: Exception) -> Response:
        failure = as_soma_error(error)
        response = error_reply(failure)
        response.place = self.place_of(failure)
        return response

    def place_of(self, error: SomaError) -> str | None:
        """Where in a cell file an error came from, for the log."""
        place = locate(error, self.app.spec.source_map)
        if place is None:
            return None
        return f"{place.file}:{place.line}:{place.column}: {place.text.strip()}"

    def _system_page(self, route: SystemPage, local: bool) -> Response:
        if route.name == "health":
            return Response(200, b'{"status": "ok"}')
        if route.name == "ready":
            reason = self._unready()
            return Response(200, b'{"status": "ready"}') if reason is None else not_ready(reason)
        if not local and not self._options.page_everywhere:
            return plain(403, "forbidden")
        status = None if self._node is None else self._node.status()
        if route.name == "cluster":
            return Response(200, to_json(status or {}).encode())
        return page(status_page(self.app.spec, self.cell, self._unready(), status))

    def _unready(self) -> str | None:
        """Why no requests should come here, None if they may."""
        reason = "" if self._node is None else self._node.unready()
        return reason if reason or not self.ready else None

    # --- origins ---------------------------------------------------------------------------------

    def _allow_origin(self, request: Request, response: Response) -> None:
        """CORS headers, where `[serve] cors` allows the origin (mend 15)."""
        origin = request.headers.get(b"origin", b"").decode("latin-1")
        allowed = self._options.cors
        if "*" in allowed:
            headers: tuple[tuple[str, str], ...] = (("Access-Control-Allow-Origin", "*"),)
        elif origin and origin in allowed:
            headers = (("Access-Control-Allow-Origin", origin), ("Vary", "Origin"))
        else:
            response.headers += (("Vary", "Origin"),)
            return
        if request.method == "OPTIONS":
            more = "" if self._causal is None else f", {TOKEN_HEADER}"
            if self._answers is not None:
                more += ", Idempotency-Key"
            headers += (
                ("Access-Control-Allow-Methods", METHODS),
                ("Access-Control-Allow-Headers", f"Content-Type, Authorization{more}"),
                ("Access-Control-Max-Age", "86400"),
            )
        elif self._causal is not None:
            headers += (("Access-Control-Expose-Headers", TOKEN_HEADER),)
        kept = [h for h in response.headers if h[0].lower() != "access-control-allow-origin"]
        response.headers = (*kept, *headers)

    def origin_allowed(self, origin: str | None, host: str) -> bool:
        """Whether a page of that origin may open a WebSocket: of the same host, or allowed.

        Browsers do not hold cross-origin WebSockets back; clients that are none send no origin.
        """
        if origin is None or "*" in self._options.cors or origin in self._options.cors:
            return True
        try:
            return urlsplit(origin).hostname == urlsplit(f"//{host}").hostname
        except ValueError:
            return False


def _with_token(response: Response, node: Standing) -> Response:
    """Lets the client take along what this node has seen."""
    if response.stream is None and (token := node.token()):
        response.headers = (*response.headers, (TOKEN_HEADER, token))
    return response


async def _caught_up(node: Standing, token: str) -> None:
    """Waits until the node has seen what the client has. Raises Refused for what is no token."""
    try:
        await node.seen(token)
    except SomaError as error:
        if error.kind == UNAVAILABLE:
            raise
        raise Refused(400, str(error)) from error
