"""What one would write by hand: Starlette handlers over etcd. `etcd_service.py PORT ETCD_PORT`."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aetcd
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

ETCD = aetcd.Client(host="127.0.0.1", port=int(sys.argv[2]))
ATTEMPTS = 100


@asynccontextmanager
async def connected(_: Starlette) -> AsyncIterator[None]:
    await ETCD.connect()
    yield
    await ETCD.close()


async def put(request: Request) -> JSONResponse:
    """Stores a value."""
    body = await request.json()
    await ETCD.put(body["k"].encode(), body["v"].encode())
    return JSONResponse(True)


async def read(request: Request) -> JSONResponse:
    """A linearizable read."""
    found = await ETCD.get((await request.json())["k"].encode())
    return JSONResponse(None if found is None else found.value.decode())


async def add(request: Request) -> JSONResponse:
    """Adds to a number, by compare and set, until nobody was quicker."""
    body = await request.json()
    key = b"count/" + body["k"].encode()
    for _ in range(ATTEMPTS):
        found = await ETCD.get(key)
        total = (0 if found is None else int(found.value)) + body["v"]
        revision = 0 if found is None else found.mod_revision
        done, _answers = await ETCD.transaction(
            compare=[ETCD.transactions.mod(key) == revision],
            success=[ETCD.transactions.put(key, str(total).encode())],
            failure=[],
        )
        if done:
            return JSONResponse(total)
    return JSONResponse({"error": "too many conflicts"}, status_code=409)


routes = [Route(f"/{one.__name__}", one, methods=["POST"]) for one in (put, read, add)]

if __name__ == "__main__":
    uvicorn.run(
        Starlette(routes=routes, lifespan=connected),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        http="httptools",
        loop="asyncio",
        log_level="error",
        access_log=False,
    )
