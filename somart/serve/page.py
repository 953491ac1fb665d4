"""The dashboard under `/__soma/` (spec 3 §8.5): what is served and what is known of it, as one
HTML page without scripts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape

from ..cell import Cell
from ..spec import ProgramSpec
from .proofs import PROOF_STYLE, data_block, drawing, proofs

TITLE = "Soma Verification Dashboard"
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h2 { border-bottom: 1px solid #8884; margin-top: 2rem }
table { border-collapse: collapse; width: 100% }
td, th { text-align: left; padding: .2rem .6rem .2rem 0; vertical-align: top }
code { font: 13px ui-monospace, monospace }
tr.suspect { background: #fc03 } tr.dead { background: #f003 } tr.left { opacity: .5 }
""" + PROOF_STYLE


REFRESH_SECONDS = 2


def status_page(
    spec: ProgramSpec,
    served: str,
    unready: str | None,
    cluster: Mapping[str, object] | None = None,
) -> str:
    """The members of the cluster as they are now, then cells with what the checker found,
    handlers, machines and slots; all names escaped. `unready` is why the node is not ready."""
    cells = "".join(_cell(spec, cell, cell.soma_name == served) for cell in spec.live)
    state = "ready" if unready is None else f"not ready {escape(unready)}".strip()
    members = "" if cluster is None else _cluster(cluster)
    refresh = f'<meta http-equiv="refresh" content="{REFRESH_SECONDS}">' if members else ""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">{refresh}'
        f"<title>{TITLE}</title>"
        f"<style>{_STYLE}</style></head><body><h1>{TITLE}</h1>"
        f"<p>{escape(spec.name)}: serving cell <code>{escape(served)}</code>, {state}</p>"
        f"{members}{cells}{data_block(spec)}</body></html>\n"
    )


_COLUMNS = {
    "id": "node",
    "status": "status",
    "address": "bus",
    "http": "HTTP",
    "ring": "ring",
    "share": "share of keys",
    "outbox": "unsent",
    "lag_ms": "behind, ms",
}


def _cluster(status: Mapping[str, object]) -> str:
    """The members, and what they agree on."""
    members = status.get("members")
    if not isinstance(members, list):
        return ""
    consensus = status.get("consensus")
    summary = consensus.get("summary") if isinstance(consensus, dict) else None
    facts = [
        f"node <code>{escape(str(status.get('node')))}</code>",
        f"leader <code>{escape(str(status.get('leader') or 'unknown'))}</code>",
        escape(str(status.get("phase"))),
    ]
    if summary:
        facts.append(f"term {escape(str(status.get('term')))}, voters {escape(str(summary))}")
    head = "".join(f"<th>{name}</th>" for name in _COLUMNS.values())
    rows = "".join(_member(member) for member in members)
    return (
        f"<section><h2>cluster</h2><p>{', '.join(facts)}</p>"
        f"<table><tr>{head}</tr>{rows}</table></section>"
    )


def _member(member: Mapping[str, object]) -> str:
    cells = []
    for column in _COLUMNS:
        value = member.get(column)
        shown = "" if value is None else str(value)
        if column == "share" and isinstance(value, float):
            shown = f"{value:.1%}"
        cells.append(f"<td>{escape(shown)}</td>")
    status = escape(str(member.get("status")))
    return f'<tr class="{status}">{"".join(cells)}</tr>'


def _cell(spec: ProgramSpec, cell: type[Cell], served: bool) -> str:
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
    parts = [("Handlers", handlers), ("Machines", machines), ("Slots", slots)]
    tables = "".join(_table(name, rows) for name, rows in parts)
    badge, found = proofs(cell, spec.evidence.get(cell.soma_name))
    drawn = "".join(drawing(machine) for machine in cell.soma_machines.values())
    return (
        f"<section><h2>cell <code>{escape(cell.soma_name)}</code>{note} {badge}</h2>"
        f"{drawn}{found}{tables}</section>"
    )


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
