"""Connections that a program opens: `link`, `subscribe`, `ws_connect`, `ws_send` (builtins §16).

They live as long as the event loop; what arrives calls handlers of the app, each call its own
transaction. A WebSocket is dropped when the other side closes it or sends what is too long; links
are mended (`somart/cluster/links.py`).
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from ..errors import SomaError, type_error
from ..transaction import current_app
from ..values.jsontext import from_json
from ..values.kinds import Value
from ..values.text import text
from .sockets import CONNECT_SECONDS, ConnectionFailed, WebSocket

if TYPE_CHECKING:

    from ..app import App
    from ..cluster.links import Links

_sockets: WeakKeyDictionary[App, WebSocket] = WeakKeyDictionary()
"""The WebSocket that `ws_send` of an app writes to: the one opened last."""


async def link(*args: Value) -> dict[str, Value]:
    """Exchange signals with a peer's bus: its events call handlers here, emitted ones go there.

    The link is mended when it breaks, for as long as the event loop runs.
    """
    from ..cluster.channel import LinkError
    from ..cluster.options import split_address

    if not args or type(args[0]) is not str or split_address(args[0]) is None:
        raise type_error('connect("host:port")')
    address = args[0]
    try:
        await _links_of(current_app()).connect(address)
    except LinkError as error:
        raise type_error(f"connect: {error}") from error
    sys.stderr.write(f"[bus] connected to {address}\n")
    return {"status": "connected", "peer": address}


def _links_of(app: App) -> Links:
    """The links of an app; those of a program that is not served last as long as the loop."""
    import trio

    if app.links is None:
        app.links = _unprotected_links(app)
    if not app.links.running:
        app.links.running = True
        trio.lowlevel.spawn_system_task(app.links.run, name="links")
    return app.links


def _unprotected_links(app: App) -> Links:
    import random
    import secrets

    from ..cluster.config import ClusterConfig
    from ..cluster.handshake import Hello
    from ..cluster.links import Links
    from ..cluster.protection import Protection

    instance = f"{app.spec.name}-{secrets.token_hex(8)}"
    return Links(
        app,
        Hello("link", app.spec.name, instance),
        config=ClusterConfig(),
        protection=Protection(),
        rng=random.Random(instance),
        log=_note,
    )


def _note(line: str) -> None:
    sys.stderr.write(f"{line}\n")


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
