"""Connections that a program opens: `link`, `subscribe`, `ws_connect`, `ws_send` (builtins §16).

They live as long as the event loop; what arrives calls handlers of the app, each call its own
transaction. A connection is dropped when the other side closes it or sends what is too long.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from ..errors import SomaError, type_error
from ..transaction import current_app
from ..values.jsontext import from_json
from ..values.kinds import Value
from ..values.text import quote, text
from .sockets import CONNECT_SECONDS, MAX_LINE, ConnectionFailed, WebSocket, open_tcp

if TYPE_CHECKING:
    import trio

    from ..app import App
    from ..events import Event

_sockets: WeakKeyDictionary[App, WebSocket] = WeakKeyDictionary()
"""The WebSocket that `ws_send` of an app writes to: the one opened last."""


async def link(*args: Value) -> dict[str, Value]:
    """Exchange signals with a peer's bus: its events call handlers here, emitted ones go there."""
    import trio

    if not args or type(args[0]) is not str:
        raise type_error('connect("host:port")')
    address = args[0]
    host, _, port = address.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or int(port) > 65_535:
        raise type_error('connect("host:port")')
    try:
        stream = await open_tcp(host, int(port))
    except ConnectionFailed as error:
        raise type_error(f"connect: {error}") from error
    app = current_app()
    trio.lowlevel.spawn_system_task(_receive_events, app, stream, name=f"link {address}")
    trio.lowlevel.spawn_system_task(_send_events, app, stream, name=f"link {address}")
    sys.stderr.write(f"[bus] connected to {address}\n")
    return {"status": "connected", "peer": address}


async def _send_events(app: App, stream: trio.abc.Stream) -> None:
    import trio

    with app.events.subscribe() as feed:
        try:
            async for event in feed:
                if not event.published:
                    await stream.send_all(f"EVENT {event.name} {_payload(event)}\n".encode())
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return


def _payload(event: Event) -> str:
    """The text of an event's argument; a String that would read as something else is quoted."""
    value = event.payload
    shown = text(value)
    if type(value) is str and ("\n" in value or "\r" in value or from_json(value) != value):
        return quote(value)
    return shown


async def _receive_events(app: App, stream: trio.abc.Stream) -> None:
    async with stream:
        async for line in _lines(stream):
            word, _, rest = line.partition(" ")
            name, _, payload = rest.partition(" ")
            if word == "EVENT" and name:
                await _dispatch(app, name, from_json(payload))


async def _lines(stream: trio.abc.Stream) -> AsyncIterator[str]:
    """The lines that arrive; ends with the connection, or at a line that is too long."""
    import trio

    buffer = bytearray()
    while len(buffer) <= MAX_LINE:
        try:
            data = await stream.receive_some()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return
        if not data:
            return
        buffer += data
        *complete, rest = buffer.split(b"\n")
        buffer = bytearray(rest)
        for line in complete:
            yield bytes(line).decode("utf-8", "replace").rstrip("\r")


async def _dispatch(app: App, name: str, argument: Value) -> Value:
    """Call `name` in the first cell that has it; errors are noted, the connection goes on."""
    for cell in app.top_level:
        if name in cell.soma_handlers:
            try:
                return await app.invoke(cell.soma_name, name, [argument])
            except SomaError as error:
                sys.stderr.write(f"[bus] error in '{name}': {error}\n")
                return None
    sys.stderr.write(f"[bus] no handler for '{name}'\n")
    return None


async def subscribe(*args: Value) -> dict[str, Value]:
    """Listen to a WebSocket: `{"event": n, "data": d}` calls n(d), other text calls ws(text)."""
    import trio

    socket = await _open_socket(args, "subscribe(url)")
    trio.lowlevel.spawn_system_task(_listen, current_app(), socket, name=f"subscribe {args[0]}")
    return {"status": "subscribed", "url": args[0]}


async def _listen(app: App, socket: WebSocket) -> None:
    async with socket.stream:
        async for message in socket.messages():
            value = from_json(message)
            if type(value) is dict and type(value.get("event")) is str:
                await _dispatch(app, value["event"], value.get("data"))
            else:
                await _dispatch(app, "ws", message)


async def ws_connect(*args: Value) -> dict[str, Value]:
    """Open the WebSocket that `ws_send` writes to."""
    import trio

    socket = await _open_socket(args, "ws_connect(url)")
    app = current_app()
    _sockets[app] = socket
    trio.lowlevel.spawn_system_task(_drain, socket, name=f"ws_connect {args[0]}")
    return {"status": "connected", "url": args[0]}


async def _open_socket(args: tuple[Value, ...], usage: str) -> WebSocket:
    import trio

    if not args or type(args[0]) is not str:
        raise type_error(usage)
    try:
        with trio.fail_after(CONNECT_SECONDS):
            return await WebSocket.connect(args[0])
    except trio.TooSlowError as error:
        raise type_error("connect: timed out") from error
    except ConnectionFailed as error:
        raise type_error(f"connect: {error}") from error


async def _drain(socket: WebSocket) -> None:
    """Answer pings; what arrives is not for the program."""
    async with socket.stream:
        async for _ in socket.messages():
            continue


async def ws_send(*args: Value) -> None:
    """Send the text of a value, `{}` without argument, to the WebSocket of `ws_connect`."""
    socket = _sockets.get(current_app())
    message = text(args[0]) if args else "{}"
    if socket is None or not await socket.send(message):
        raise type_error("ws_send: not connected")
