"""Files of the folder `static/`, and nothing outside of it (spec 3 §8.2)."""

from __future__ import annotations

import os
import stat
from email.utils import formatdate
from pathlib import Path

import trio

from .limits import ServeLimits
from .message import Request, Response
from .replies import plain

_TYPES = {
    "css": "text/css",
    "js": "application/javascript",
    "html": "text/html; charset=utf-8",
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "svg": "image/svg+xml",
    "ico": "image/x-icon",
    "woff2": "font/woff2",
    "json": "application/json",
}


def content_type(name: str) -> str:
    """By the extension."""
    return _TYPES.get(name.rpartition(".")[2].lower(), "application/octet-stream")


class StaticFolder:
    """The files below `root`; without a root there are none."""

    def __init__(self, root: Path | None, limits: ServeLimits) -> None:
        self._root = None if root is None else os.path.realpath(root)
        self._limits = limits

    async def respond(self, name: str, request: Request) -> Response:
        """The file, 304 when the client has it, 403 when the name escapes, else 404."""
        if self._root is None:
            return plain(404, "not found")
        path = confine(self._root, name)
        if path is None:
            return plain(403, "forbidden")
        try:
            found = os.stat(path)
        except (OSError, ValueError):
            return plain(404, "not found")
        if not stat.S_ISREG(found.st_mode):
            return plain(404, "not found")
        if found.st_size > self._limits.static_bytes:
            return plain(403, "file too large")
        return await self._file(path, found, request)

    async def _file(self, path: str, found: os.stat_result, request: Request) -> Response:
        tag = f'"{found.st_mtime_ns:x}-{found.st_size:x}"'
        headers = (
            ("ETag", tag),
            ("Last-Modified", formatdate(found.st_mtime, usegmt=True)),
            ("Cache-Control", "no-cache"),
            ("X-Content-Type-Options", "nosniff"),
        )
        known = request.headers.get(b"if-none-match", b"").decode("latin-1")
        if known == "*" or tag in [part.strip() for part in known.split(",")]:
            return Response(304, content_type="", headers=headers)
        try:
            content = await self._read(path, found.st_size)
        except OSError:
            return plain(404, "not found")
        return Response(200, content, content_type(path), headers)

    async def _read(self, path: str, size: int) -> bytes:
        if size <= self._limits.static_inline_bytes:
            return _read_file(path)
        return await trio.to_thread.run_sync(_read_file, path)


def _read_file(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def confine(root: str, name: str) -> str | None:
    """The real path of a file below `root`; None when the name, or a link, leads elsewhere."""
    if "\0" in name or "\\" in name:
        return None
    real = os.path.realpath(os.path.join(root, name))
    return real if real.startswith(root.rstrip(os.sep) + os.sep) else None
