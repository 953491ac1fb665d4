"""Remembers the outcome of `check` by content, so that checking again costs a few milliseconds.

An entry names the files that the outcome depends on with their digests, among them the manifest,
which may be missing. For a program with imports it also names the `.cell` files below its folder:
a file that appears can change what an import means. The compiler's own files are part of the key.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from .. import __version__

ENTRY_BYTES_MAX = 4 * 1024 * 1024
TREE_FILES_MAX = 2000
TREE_ENTRIES_MAX = 20_000  # a program in a home directory shall not have all of it searched
ENTRIES_MAX = 1000


class Outcome(NamedTuple):
    """What a check printed, in turns of stdout and stderr, and its exit code."""

    parts: list[list[str]]
    code: int


def cached_outcome(path: str, form: str) -> Outcome | None:
    """The remembered outcome of checking `path` in this form, if nothing it used has changed."""
    try:
        with _entry_file(path, form).open(encoding="utf-8") as file:
            entry = json.loads(file.read(ENTRY_BYTES_MAX))
        same = all(_digest(Path(name)) == digest for name, digest in entry["files"].items())
        if same and entry["tree"] in (None, _tree(path)):
            return Outcome(**entry["outcome"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return None


def remember(path: str, form: str, sources: Iterable[str], outcome: Outcome) -> None:
    """Keeps an outcome, unless a file cannot be read or the cache not written: it is no need."""
    names = [*dict.fromkeys([path, *sources])]
    root = Path(path).resolve().parent
    if any(not Path(name).resolve().is_relative_to(root) for name in names):
        return  # found through the working directory or a shared library: too much to watch
    try:
        files = {n: _digest(Path(n)) for n in (*names, str(Path(path).parent / "soma.toml"))}
        tree = _tree(path) if len(names) > 1 else None
        entry = {"files": files, "tree": tree, "outcome": outcome._asdict()}
        _write(_entry_file(path, form), json.dumps(entry))
    except (OSError, ValueError):
        return


def cache_folder() -> Path:
    """$SOMA_CACHE_DIR, or `soma` in the user's cache folder. Raises OSError without a home."""
    named = os.environ.get("SOMA_CACHE_DIR")
    if named:
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    if not os.path.isabs(base):
        raise OSError("there is no home directory to keep a cache in")
    return Path(base) / "soma"


def _entry_file(path: str, form: str) -> Path:
    key = "\0".join((__version__, _compiler(), os.getcwd(), path, form))
    return cache_folder() / f"check-{hashlib.sha256(key.encode()).hexdigest()[:40]}.json"


def _compiler() -> str:
    """A fingerprint of the compiler's files, so that a changed compiler forgets what it said."""
    package = Path(__file__).resolve().parent.parent
    stats = []
    for folder in (package, package / "frontend", package / "check", package / "cli"):
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.endswith((".py", ".peg")):
                    stat = entry.stat()
                    stats.append(f"{entry.name}:{stat.st_size}:{stat.st_mtime_ns}")
    return ",".join(sorted(stats))


def _digest(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        return None


def _tree(path: str) -> str:
    """A digest of the names of all `.cell` files below the program's folder."""
    names: list[str] = []
    visited = 0
    for folder, folders, files in os.walk(Path(path).resolve().parent):
        folders.sort()
        names.extend(os.path.join(folder, name) for name in sorted(files) if name[-5:] == ".cell")
        visited += 1 + len(files)
        if len(names) > TREE_FILES_MAX or visited > TREE_ENTRIES_MAX:
            raise ValueError("too many files to watch")
    return hashlib.sha256("\0".join(names).encode("utf-8", "surrogateescape")).hexdigest()


def _write(target: Path, text: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = target.with_name(f"{target.name}.{os.getpid()}.part")  # tempfile takes 8 ms to import
    part.write_text(text, encoding="utf-8")
    os.replace(part, target)
    _forget_oldest(target.parent)


def _forget_oldest(folder: Path) -> None:
    """Keeps the cache small: the older half goes when there are too many entries."""
    entries = list(folder.glob("check-*.json"))
    if len(entries) > ENTRIES_MAX:
        entries.sort(key=lambda path: path.stat().st_mtime_ns)
        for path in entries[: ENTRIES_MAX // 2]:
            path.unlink(missing_ok=True)
