"""Names, literals, strings, fields, methods and slots (core §1.5, §3.10, §3.14)."""

from __future__ import annotations

from collections.abc import Sequence

from ..frontend import nodes as n
from . import kinds as k
from .increments import Increment
from .kinds import INTS
from .literals import floating, format_text, integer, string
from .lowering import SIGN, UNIT, Ex
from .operators import Operators
from .routines import (
    SLOT_ARGUMENTS,
    SLOT_METHODS,
    slot_target,
)
from .shapes import HIDDEN_FIELDS, fields_of

_MISSING = {
    "get": "get() requires a key argument",
    "set": "set() requires key and value arguments",
    "delete": "delete() requires a key argument",
    "has": "has() requires a key argument",
    "append": "append() requires a value argument",
}
_PROPERTIES = HIDDEN_FIELDS | {"first", "last"}


class Access(Operators):
    """What reads a value from somewhere."""

    # --- literals and names ---

    def literal(self, node: n.Node) -> Ex:
        if isinstance(node, n.Bool):
            return Ex(str(node.value), k.BOOL, constant=True, pure=True)
        if isinstance(node, n.Int | n.Duration):
            value = node.value if isinstance(node, n.Int) else node.milliseconds
            kind, level = (k.NAT, 9) if value >= 0 else (k.INT, SIGN)
            return Ex(integer(value), kind, level, constant=True, pure=True)
        if isinstance(node, n.Float | n.Percent):
            level = SIGN if str(node.value).startswith("-") else 9
            return Ex(floating(node.value), k.FLOAT, level, constant=True, pure=True)
        return UNIT

    def name(self, node: n.Name) -> Ex:
        var = self.routine.scopes.var(node)
        if var is not None:
            once = var.writes <= 1 and var.origin != "assigned"
            kind, bound = self.kinds.variable(var) or k.ANY, var.origin in ("param", "lambda")
            return Ex(var.py, kind, constant=once, pure=once or bound)
        if self.routine.bare:
            found = self.routines.find_slot(self.routine.cell, node.name)
            if found is not None:
                waits = self.routines.shares(*found)
                return self.awaited(f"{self.slot_path(*found)}.as_map()", waits, k.MAP)
        info = self.routines.program.variants.get(node.name)
        if info is None:
            return self.fail(f"undefined_variable({string(node.name)})")
        if info.decl.shape != "unit":
            message = f"variant '{node.name}' takes payload — write a constructor expression"
            return self.type_error(message)
        self.use("Variant")
        text = f"Variant({string(info.type_name)}, {string(node.name)})"
        return Ex(text, k.VARIANT, constant=True, pure=True)

    # --- strings ---

    def string(self, node: n.Str) -> Ex:
        """An f-string when there are holes; unknown holes stay text (mend 2)."""
        if self.routine.native:
            return Ex(string(node.value), k.STRING, constant=True, pure=True)
        parts = self._parts(node)
        holes = [part for part in parts if not isinstance(part, str)]
        if not holes:
            whole = "".join(p for p in parts if isinstance(p, str)) if node.parts else node.value
            return Ex(string(whole), k.STRING, constant=True, pure=True)
        values = iter(self.operands(holes))
        pieces: list[tuple[str, bool]] = []
        for part in parts:
            if isinstance(part, str):
                pieces.append((part, False))
            else:
                pieces.append((self._hole_text(next(values)), True))
        return self._formatted(pieces)

    def _parts(self, node: n.Str) -> list[str | n.Expr]:
        found: list[str | n.Expr] = []
        for part in node.parts:
            if isinstance(part, str):
                found.append(part)
            elif part.expr is None or id(part) in self.routine.scopes.literal_holes:
                found.append("{" + part.text + "}")
            else:
                found.append(part.expr)
        return found

    def _hole_text(self, ex: Ex) -> str:
        if ex.kind == k.STRING or ex.kind in INTS:
            return ex.text
        return f"{self.use('ops')}.text({ex.text})"

    def _formatted(self, pieces: Sequence[tuple[str, bool]]) -> Ex:
        """Python 3.11 allows neither quotes of the string nor backslashes inside a hole."""
        if all(not hole or not set(text) & set("\"'\\#{}!:\n") for text, hole in pieces):
            body = "".join("{" + t + "}" if hole else format_text(t) for t, hole in pieces)
            return Ex(f'f"{body}"', k.STRING)
        if all(not hole or not set(text) & set("'\\{}!#") for text, hole in pieces):
            plain = [(t.replace('"', "'"), True) if h else (t, False) for t, h in pieces]
            body = "".join("{" + t + "}" if hole else format_text(t) for t, hole in plain)
            if not any("[" in t or "lambda" in t or ":" in t for t, h in plain if h):
                return Ex(f'f"{body}"', k.STRING)
        items = [f"str({t})" if hole and not _is_text(t) else t for t, hole in self._quoted(pieces)]
        return Ex(f'"".join([{", ".join(items)}])', k.STRING)

    def _quoted(self, pieces: Sequence[tuple[str, bool]]) -> list[tuple[str, bool]]:
        return [(t, True) if hole else (string(t), False) for t, hole in pieces if t]

    # --- fields and methods ---

    def field(self, node: n.Field) -> Ex:
        found = slot_target(self.routines, self.routine, node.target)
        if found is not None:
            return self.slot_operation(found, node.name, ())
        target = self.expr(node.target)
        known = fields_of(target.kind).get(node.name)
        if known is not None:
            text = f"{self.atom(target)}[{string(node.name)}]"
            return Ex(text, known or k.ANY, pure=target.pure)
        if target.kind == k.MAP and node.name not in HIDDEN_FIELDS:
            return Ex(f"{self.atom(target)}.get({string(node.name)})")
        if target.kind in (k.LIST, k.STRING) and node.name in ("len", "length"):
            return Ex(f"len({target.text})", k.NAT)
        helper = "field" if node.name in _PROPERTIES else "entry"
        text = f"{self.use('ops')}.{helper}({target.text}, {string(node.name)})"
        return Ex(text, self._member_kind(target, node.name))

    def _member_kind(self, target: Ex, name: str) -> str:
        return k.ANY

    def method(self, node: n.Method) -> Ex:
        found = slot_target(self.routines, self.routine, node.target)
        if found is not None:
            increment = self.increments.get(id(node))
            if increment is not None:
                return self._increment(found, node.args[0], increment)
            return self.slot_operation(found, node.name, node.args)
        target, *args = self.operands((node.target, *node.args))
        listed = ", ".join(a.text for a in args)
        text = f"{self.use('ops')}.method({target.text}, {string(node.name)}, [{listed}]"
        if isinstance(node.target, n.Name):
            text += f", {string(node.target.name)}"
        return Ex(f"{text})")

    # --- slots ---

    def cell_path(self, cell: n.Cell) -> str:
        """The expression of a cell's object."""
        if cell is self.routine.cell and cell.kind != "test":
            return "self"
        return f"self.app.{self.routines.names.of(cell).class_name}"

    def slot_path(self, cell: n.Cell, slot: n.Slot) -> str:
        return f"{self.cell_path(cell)}.{self.routines.names.of(cell).slots[slot.name]}"

    def slot_operation(self, found: tuple[n.Cell, n.Slot], name: str, args: Sequence[n.Expr]) -> Ex:
        """`slot.op(args)`; the number of arguments is known here."""
        values = self.operands(args)
        canonical = SLOT_METHODS.get(name)
        if canonical is None:
            message = f"unknown method '{name}' on memory slot '{found[1].name}'"
            return self.after(values, self.type_error(message))
        needed = SLOT_ARGUMENTS.get(canonical, 0)
        if len(values) < needed:
            return self.after(values, self.type_error(_MISSING[canonical]))
        listed = ", ".join(v.text for v in values[:needed])
        text = f"{self.slot_path(*found)}.{canonical}({listed})"
        ex = self.awaited(text, self.routines.shares(*found), k._SLOT_RESULTS.get(canonical, k.ANY))
        surplus = [v for v in values[needed:] if not v.pure]
        return self.before(ex, surplus) if surplus else ex

    def _increment(self, found: tuple[n.Cell, n.Slot], key: n.Expr, increment: Increment) -> Ex:
        parts: list[n.Expr] = [key, increment.amount]
        if increment.default is not None:
            parts.append(increment.default)
        listed = ", ".join(value.text for value in self.operands(parts))
        return self.awaited(f"{self.slot_path(*found)}.{increment.method}({listed})", True, k.UNIT)

    def after(self, values: Sequence[Ex], ex: Ex) -> Ex:
        """The expression, once the values were evaluated for their effects."""
        for value in values:
            if not (value.pure or value.constant or _is_display(value.text)):
                self.out.add(value.text)
        return ex

    def before(self, ex: Ex, values: Sequence[Ex]) -> Ex:
        """The expression first, then the values for their effects."""
        if ex.kind == k.UNIT:
            self.out.add(ex.text)
            kept = UNIT
        else:
            kept = self.spill(ex, "result")
        return self.after(values, kept)


def _is_text(text: str) -> bool:
    return text.startswith(("ops.text(", "str("))


def _is_display(text: str) -> bool:
    """Whether the text is a List, a Map or a string without a call in it: idle as a statement."""
    return text.startswith(("[", "{", '"', 'f"')) and "(" not in text
