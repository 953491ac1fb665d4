"""Answers the requests of a `serve` case as a node would, without sockets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import trio

from somac.cli.pipeline import compile_in_memory, read_runnable
from somart.app import App
from somart.engines.standalone import StandaloneEngine
from somart.serve.log import ServerLog
from somart.serve.message import Request, Response
from somart.serve.site import Site, SiteOptions, served_cell


def check_served(argv: list[str], requests: list[dict[str, Any]], folder: Path) -> None:
    """Starts the program on `folder`, sends the requests in order and compares each answer."""
    unit = read_runnable(argv[1])
    assert unit is not None
    spec = compile_in_memory(unit)
    app = (spec.app_class or App)(spec, StandaloneEngine(folder / ".soma_data"))
    try:
        trio.run(_converse, app, requests, folder)
    finally:
        app.close()


async def _converse(app: App, requests: list[dict[str, Any]], folder: Path) -> None:
    cell = served_cell(app.spec)
    assert cell is not None
    log = ServerLog(requests=False, verbose=False)
    site = Site(app, cell, SiteOptions(static_root=folder / "static"), log)
    site.open()
    if "init" in cell.soma_handlers:
        await app.invoke(cell.soma_name, "init", [])
    for wanted in requests:
        body = wanted.get("body", "").encode()
        request = Request(wanted["method"], wanted["path"], {}, body)
        response = await site.respond(request, local=True)
        _compare(wanted, response)


def _compare(wanted: dict[str, Any], response: Response) -> None:
    what = f"{wanted['method']} {wanted['path']}"
    text = response.body.decode()
    assert response.status == wanted["status"], f"{what}: {response.status} {text}"
    if "response" in wanted:
        assert text == wanted["response"], what
    for part in wanted.get("contains", ()):
        assert part in text, f"{what}: {part!r} not in {text!r}"
    headers = {"Content-Type": response.content_type, **dict(response.headers)}
    for name, value in wanted.get("headers", {}).items():
        assert headers.get(name) == value, f"{what}: {json.dumps(headers)}"
