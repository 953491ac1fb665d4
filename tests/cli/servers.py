"""Real nodes in processes of their own, for tests that kill them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

START_SECONDS = 60
LISTENING = re.compile(r"listening on (http://[^\s/]+)")


class Server:
    """A node on a free port of the loopback address; its banner tells the port."""

    def __init__(self, command: list[str], folder: Path, data: Path) -> None:
        self.process = subprocess.Popen(
            [*command, "-p", "0", "--data", str(data)],
            cwd=folder,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.log: list[str] = []
        self.url = ""
        self._listening = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        if not self._listening.wait(START_SECONDS) or not self.url:
            self.kill()
            raise AssertionError("no server came up:\n" + "".join(self.log))

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log.append(line)
            if match := LISTENING.search(line):
                self.url = match[1].replace("localhost", "127.0.0.1")
                self._listening.set()
        self._listening.set()

    def call(self, path: str, body: Any = None, method: str | None = None) -> Any:
        """The JSON answer to a request; errors of HTTP come back as (status, body)."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    def kill(self) -> None:
        """SIGKILL, the end without warning."""
        self.process.kill()
        self._end()

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        self.process.terminate()
        return self._end()

    def _end(self) -> int:
        code = self.process.wait(timeout=60)
        self._reader.join(timeout=60)
        assert self.process.stderr is not None
        self.process.stderr.close()
        return code


def python_module(name: str, python: str = sys.executable) -> list[str]:
    return [python, "-m", name]
