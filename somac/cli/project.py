"""`init`: the first files of a project."""

from __future__ import annotations

import json
from pathlib import Path

from .terminal import report, say

MANIFEST = """\
[package]
name = {name}
version = "0.1.0"
entry = "main.cell"
"""

MAIN = """\
// {title}: run it with `soma run main.cell World`, serve it with `soma serve main.cell`.

cell Main {
    memory {
        greeted: Map<String, Int> [persistent, consistent]
    }

    on greet(name: String) {
        greeted.set(name, (greeted.get(name) ?? 0) + 1)
        "Hello {name}, for the {greeted.get(name)}. time"
    }
}

cell test MainTests {
    rules {
        assert greet("Ada") == "Hello Ada, for the 1. time"
        assert greet("Ada") == "Hello Ada, for the 2. time"
    }
}
"""


def init_project(name: str | None) -> int:
    """`soma init [NAME]`: in a new folder, or here. Refuses to touch what exists."""
    if name is not None and not name.strip():
        report("a project needs a name")
        return 1
    folder = Path(name) if name else Path()
    if name and folder.exists():
        report(f"directory '{name}' already exists")
        return 1
    for taken in ("soma.toml", "main.cell"):
        if (folder / taken).exists():
            report(f"{taken} already exists")
            return 1
    title = folder.resolve().name
    try:
        _write(folder, title)
    except OSError as error:
        report(f"cannot create '{folder}': {error.strerror}")
        return 1
    say(f"Created project '{title}': soma.toml, main.cell")
    return 0


def _write(folder: Path, title: str) -> None:
    for part in ("stdlib", "packages", "cache"):
        (folder / ".soma_env" / part).mkdir(parents=True, exist_ok=True)
    quoted = json.dumps(title, ensure_ascii=False).replace("\x7f", "\\u007f")
    (folder / "soma.toml").write_text(MANIFEST.format(name=quoted), "utf-8")
    shown = "".join(c if c.isprintable() else " " for c in title)
    (folder / "main.cell").write_text(MAIN.replace("{title}", shown), "utf-8")
