"""Commands that only show: `ast tokens describe props explain`."""

from __future__ import annotations

import json
from pathlib import Path

from .pipeline import read
from .terminal import report, report_diagnostics, say


def show_tree(path: str) -> int:
    """`soma ast FILE`: the syntax tree, as indented text."""
    from ..frontend.dump import dump
    from ..frontend.load import load

    loaded = load(path)
    if report_diagnostics(loaded.diagnostics) or loaded.program is None:
        return 1
    for cell in loaded.program.cells:
        say(dump(cell))
    return 0


def show_description(path: str) -> int:
    """`soma describe FILE`: cells, handlers, slots and machines as JSON (spec 3 §10)."""
    from ..describe import describe

    unit = read(path)
    if unit is None:
        return 1
    say(json.dumps(describe(unit.program), indent=2, ensure_ascii=False))
    return 0


def show_properties() -> int:
    """`soma props`: the memory properties and their rules (spec 3 §1.2)."""
    from ..describe import props_text

    say(props_text())
    return 0


def explain_code(code: str) -> int:
    """`soma explain E012`: what a diagnostic means, with a wrong and a right example."""
    from ..check.codes import CODES as CHECK_CODES
    from ..frontend.codes import CODES
    from ..frontend.names import nearest

    known = {**CODES, **CHECK_CODES}
    info = known.get(code.upper())
    if info is None:
        like = nearest(code.upper(), known)
        report(f"there is no diagnostic '{code}'" + (f" (did you mean '{like}'?)" if like else ""))
        return 1
    say(f"{info.code}: {info.title}\n\n{info.explanation}")
    for title, example in (("Wrong", info.wrong), ("Right", info.right)):
        if example:
            body = "\n".join(f"    {line}".rstrip() for line in example.strip("\n").split("\n"))
            say(f"\n{title}:\n\n{body}")
    return 0


def show_tokens(path: str) -> int:
    """`soma tokens FILE`: one token per line with its place and kind; for debugging."""
    from ..frontend.lexer import scan
    from ..frontend.load import os_message, read_source
    from ..frontend.source import Source

    try:
        source = Source(path, read_source(Path(path)))
    except OSError as error:
        report(f"cannot read '{path}': {os_message(error)}")
        return 1
    for token in scan(source.text).tokens:
        line, column = source.position(token.start)
        say(f"{line}:{column} {token.kind} {source.text[token.start : token.end]}")
    return 0
