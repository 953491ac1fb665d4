"""The same trivial handler on uvicorn with Starlette or with FastAPI: `asgi_peers.py NAME PORT`."""

from __future__ import annotations

import sys
from typing import Any

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route


class Pair(BaseModel):
    """The body of a request."""

    a: int
    b: int


async def add(request: Request) -> JSONResponse:
    """The sum of two numbers, by Starlette."""
    body = await request.json()
    return JSONResponse({"sum": body["a"] + body["b"]})


def application(name: str) -> Any:
    """The application of that name."""
    if name == "starlette":
        return Starlette(routes=[Route("/add", add, methods=["POST"])])
    fast = FastAPI()

    @fast.post("/add")
    async def add_pair(pair: Pair) -> dict[str, int]:
        return {"sum": pair.a + pair.b}

    return fast


if __name__ == "__main__":
    uvicorn.run(
        application(sys.argv[1]),
        host="127.0.0.1",
        port=int(sys.argv[2]),
        http="httptools",
        loop="asyncio",
        log_level="error",
        access_log=False,
    )
