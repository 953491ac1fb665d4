"""What the server says on stderr: one line per request, and where a failure happened."""

from __future__ import annotations

import re
import sys
import traceback
from typing import TextIO

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_SHOWN = 2000


def printable(text: str) -> str:
    """One line of plain text: control characters escaped, so that no client forges a line."""
    shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    return _CONTROL.sub(lambda found: found.group().encode("unicode_escape").decode(), shown)


class ServerLog:
    """Lines on stderr. `requests` switches the request log, `verbose` adds what went in and out."""

    def __init__(
        self, requests: bool = True, verbose: bool = False, stream: TextIO | None = None
    ) -> None:
        self.requests = requests
        self.verbose = verbose
        self._stream = stream

    def line(self, text: str) -> None:
        """Writes one line; a log that nobody can read is no reason to stop serving."""
        stream = self._stream if self._stream is not None else sys.stderr
        try:
            stream.write(f"{text}\n")
            stream.flush()
        except (OSError, ValueError):
            self.requests = self.verbose = False

    def request(
        self, method: str, target: str, status: int, seconds: float, error: str | None
    ) -> None:
        """`{METHOD} {url} → {status} {ms}ms`, with the error's text on 500."""
        if not self.requests:
            return
        tail = f" {printable(error)}" if error is not None and status == 500 else ""
        shown = f"{printable(method)} {printable(target)}"
        self.line(f"{shown} → {status} {round(seconds * 1000)}ms{tail}")

    def place(self, place: str) -> None:
        """Where in the source the failure just logged came from."""
        self.line(f"  at {printable(place)}")

    def fault(self, error: BaseException) -> None:
        """A failure of the server itself, with its traceback."""
        for text in "".join(traceback.format_exception(error)).splitlines():
            self.line(f"internal error: {printable(text)}")

    def detail(self, name: str, value: str) -> None:
        """A line of `--verbose` under a request."""
        if self.verbose:
            self.line(f"  {name}: {printable(value)}")
