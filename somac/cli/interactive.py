"""`repl`: expressions, `let`, assignments and one-line cells, until `:quit`.

Each line becomes a handler of a small program made of the cells entered so far. The handler takes
the session's variables as parameters and returns them with its result, so that a loop can change
them; slots live in one engine for the whole session.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from ..frontend.diagnostics import Diagnostic
from ..frontend.load import load_text
from ..frontend.source import Source, Span
from ..manifest import Manifest
from .process import with_deep_stack
from .terminal import report, report_diagnostics, say

if TYPE_CHECKING:
    from somart.engines.standalone import StandaloneEngine
    from somart.spec import ProgramSpec

BINDING = re.compile(r"\s*(?:let\s+)?([a-z_]\w*)\s*(=|[-+*/]=)(?![=>])", re.ASCII)
CELL = re.compile(r"\s*cell\s+(?:[a-z]+\s+)?([A-Za-z_]\w*)")
PROMPT = "soma> "
END = "_line_end"  # a parameter, whose value marks answers that no `return` and no `e?` cut short


@dataclass
class Session:
    """What was said so far."""

    engine: StandaloneEngine
    cells: dict[str, str] = field(default_factory=dict)
    variables: dict[str, Any] = field(default_factory=dict)

    def line(self, text: str) -> None:
        """Carries out one line; its errors are printed and end nothing."""
        if match := CELL.match(text):
            self._define(match[1], text)
        else:
            self._evaluate(text)

    def _define(self, name: str, text: str) -> None:
        before = dict(self.cells)
        self.cells[name] = text
        if self._compile("on _line() { () }", text) is None:
            self.cells = before

    def _evaluate(self, text: str) -> None:
        names = list(self.variables)
        binding = BINDING.match(text)
        if binding and binding[1] not in names:
            names.append(binding[1])
        body = text if binding else f"let _result = match () {{ _ -> {{\n{text}\n }} }}"
        result = "()" if binding else "_result"
        params = ", ".join(f"{name}: Any" for name in (END, *self.variables))
        answer = ", ".join([END, result, *names])
        handler = f"on _line({params}) {{\n{body}\n [{answer}] }}"
        spec = self._compile(handler, text)
        if spec is not None:
            self._call(spec, names)

    def _compile(self, handler: str, line: str) -> ProgramSpec | None:
        from ..codegen import generate, load_in_memory

        source = "\n".join([*self.cells.values(), f"cell ReplSession {{ {handler} }}"])
        loaded = load_text(source, "repl")
        if loaded.program is None:
            report_diagnostics([_within(loaded.diagnostics[0], line)])
            return None
        return load_in_memory(generate(loaded.program, Manifest(), runtime="somart"))

    def _call(self, spec: ProgramSpec, names: list[str]) -> None:
        from somart.app import App
        from somart.errors import SomaError
        from somart.values import text

        app = (spec.app_class or App)(spec, self.engine)
        try:
            result = app.call("ReplSession", "_line", [END, *self.variables.values()])
        except SomaError as error:
            report(str(error))
            return
        if isinstance(result, list) and result and result[0] == END:
            _, result, *values = result
            self.variables = dict(zip(names, values, strict=True))
        if result is not None:
            say(text(result))


def _within(found: Diagnostic, line: str) -> Diagnostic:
    """A diagnostic of the program around a line, as one of the line alone."""
    if found.span is None:
        return found
    shown = line.rstrip()
    place = found.span.start - found.span.source.text.rindex(line)
    message = found.message
    if place >= len(shown):
        message = re.sub(r"found '.'$", "found end of line", message)
    place = min(max(place, 0), len(shown))
    return replace(found, message=message, span=Span(Source("line", shown), place, place))


def repl() -> int:
    """`soma repl`: reads lines until `:quit` or the end of the input."""
    from somart.engines.standalone import StandaloneEngine

    session = Session(StandaloneEngine())
    while (line := _next_line()) is not None:
        if line.strip() in (":quit", ":q"):
            break
        if line.strip():
            code = with_deep_stack(partial(_carry_out, session, line))
            if code:
                return code
        sys.stdout.flush()
    return 0


def _carry_out(session: Session, line: str) -> int:
    session.line(line)
    return 0


def _next_line() -> str | None:
    try:
        if sys.stdin.isatty():
            import readline  # noqa: F401  # gives `input` history and editing

            return input(PROMPT)
        line = sys.stdin.readline()
        return line if line else None
    except (EOFError, KeyboardInterrupt):
        return None
