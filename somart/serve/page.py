"""The status page under `/__soma/`: what is served, as one HTML page without scripts."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from ..cell import Cell
from ..spec import ProgramSpec

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h2 { border-bottom: 1px solid #8884; margin-top: 2rem }
table { border-collapse: collapse; width: 100% }
td, th { text-align: left; padding: .2rem .6rem .2rem 0; vertical-align: top }
code { font: 13px ui-monospace, monospace }
"""


def status_page(spec: ProgramSpec, served: str, ready: bool) -> str:
    """Cells with their handlers, machines and slots; all names escaped."""
    cells = "".join(_cell(cell, cell.soma_name == served) for cell in spec.live)
    title = escape(f"Soma — {spec.name}")
    state = "ready" if ready else "not ready"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{title}</h1>"
        f"<p>serving cell <code>{escape(served)}</code>, {state}</p>{cells}</body></html>\n"
    )


def _cell(cell: type[Cell], served: bool) -> str:
    note = " (served)" if served else ""
    handlers = [
        (f"{info.name}({', '.join(info.params)})", "private" if info.private else "public")
        for info in cell.soma_handlers.values()
    ]
    machines = [
        (
            decl.name,
            f"initial {decl.initial}; "
            + ", ".join(f"{a.source} → {a.target}" for a in decl.arrows),
        )
        for decl in cell.soma_machines.values()
    ]
    slots = [
        (
            f"{slot.name}: {slot.type_text}",
            ", ".join(_property(prop.name, prop.args) for prop in slot.props),
        )
        for slot in cell.soma_slots.values()
    ]
    invariants = [(rule.source, "checked on every write") for rule in cell.soma_invariants.values()]
    parts = [("Handlers", handlers), ("Machines", machines), ("Slots", slots)]
    tables = "".join(_table(name, rows) for name, rows in [*parts, ("Invariants", invariants)])
    return f"<section><h2>cell <code>{escape(cell.soma_name)}</code>{note}</h2>{tables}</section>"


def _property(name: str, args: Iterable[object]) -> str:
    given = ", ".join(str(arg) for arg in args)
    return f"{name}({given})" if given else name


def _table(title: str, rows: list[tuple[str, str]]) -> str:
    if not rows:
        return ""
    lines = "".join(
        f"<tr><td><code>{escape(left)}</code></td><td>{escape(right)}</td></tr>"
        for left, right in rows
    )
    return f"<h3>{title}</h3><table>{lines}</table>"
