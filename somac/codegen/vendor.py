"""Copies the runtime into a package, so that the package needs neither somac nor somart.

somart imports itself only relatively, so a copy works under any package name, and two copies in
one process have nothing in common.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

VENDORED_NAME = "_somart"

# What the runtime imports: the dependencies of every generated package.
RUNTIME_DEPENDENCIES = (
    "trio>=0.26",
    "apsw>=3.45",
    "msgspec>=0.18",
    "httptools>=0.6",
    "wsproto>=1.2",
    "cryptography>=42",
)

_NOT_SERVED = "simulate"
"""A folder of the runtime that only `soma simulate` needs."""

_SUFFIXES = {".py", ".html", ".css", ".js", ".sql"}


def runtime_folder() -> Path:
    """The folder of the installed runtime. Raises `RuntimeError` when somart is not installed."""
    spec = find_spec("somart")
    if spec is None or spec.origin is None:
        raise RuntimeError("the runtime somart is not installed beside somac")
    return Path(spec.origin).parent


def runtime_files() -> dict[str, str]:
    """The runtime's files by their path inside the package, in order of path."""
    root = runtime_folder()
    left_out = root / _NOT_SERVED
    paths = sorted(
        path
        for path in root.rglob("*")
        if path.suffix in _SUFFIXES and path.is_file() and left_out not in path.parents
    )
    return {
        f"{VENDORED_NAME}/{path.relative_to(root).as_posix()}": path.read_text("utf-8")
        for path in paths
    }
