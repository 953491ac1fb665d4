"""How cells fit together: signals inside an interior, and protocols between cells (§5.9)."""

from __future__ import annotations

from collections.abc import Iterator

from ..check.targets import calls, literal_text
from ..frontend import nodes as n
from ..frontend.program import Program, handlers_of, sections
from ..frontend.walk import walk
from .bodies import all_bodies
from .report import Block, Check, failed, passed, warned

PARENT = "(parent)"


def composition_blocks(cell: n.Cell) -> Iterator[Block]:
    """One block per interior of a cell whose children exchange, or should exchange, signals."""
    for interior in sections(cell, n.Interior):
        checks = tuple(_composition(cell, interior))
        if checks:
            yield Block(f"{cell.name}/composition", checks=checks)


def _composition(parent: n.Cell, interior: n.Interior) -> Iterator[Check]:
    emitted = list(dict.fromkeys(_emitted(parent, interior)))
    handled = [(cell.name, name) for cell in interior.cells for name in handlers_of(cell)]
    matched = [
        (emitter, signal)
        for emitter, signal in emitted
        if any(name == signal and cell != emitter for cell, name in handled)
    ]
    lost = [pair for pair in emitted if pair not in set(matched)]
    exposed = _exposed(parent)
    orphans = [
        (cell, name)
        for cell, name in handled
        if not name.startswith("_")
        and name not in exposed
        and not any(signal == name and emitter != cell for emitter, signal in emitted)
    ]
    if matched and not lost and not orphans:
        yield passed(f"composition: {len(matched)} signal pairs verified, 0 undelivered, 0 orphans")
        return
    if matched:
        yield passed(f"composition: {len(matched)} signal pairs matched")
    for emitter, signal in lost:
        yield warned(
            f"composition: cell '{emitter}' emits signal '{signal}' but no sibling handles it"
        )
    for cell, name in orphans:
        yield warned(
            f"composition: cell '{cell}' handles signal '{name}' but no sibling emits it and parent"
            " face doesn't expose it"
        )


def _emitted(parent: n.Cell, interior: n.Interior) -> Iterator[tuple[str, str]]:
    """Who emits what: the children's bodies, then the parent's `runtime`."""
    for child in interior.cells:
        for body in all_bodies(child):
            for node in walk(body.block):
                if isinstance(node, n.Emit):
                    yield child.name, node.name
    for runtime in sections(parent, n.Runtime):
        for entry in runtime.entries:
            if isinstance(entry, n.Emit):
                yield PARENT, entry.name


def _exposed(parent: n.Cell) -> set[str]:
    """The signals that reach children from outside: by the parent's face, or by a `delegate` of
    the parent."""
    names = {
        d.name
        for face in sections(parent, n.Face)
        for d in face.declarations
        if isinstance(d, n.Signature) and d.kind == "signal"
    }
    for body in all_bodies(parent):
        for name, args, _ in calls(walk(body.block)):
            if name == "delegate" and len(args) >= 2:
                names.add(literal_text(args[1]) or "")
    return names


def protocol_blocks(program: Program) -> Iterator[Block]:
    """One block per protocol."""
    for protocol in program.protocols:
        checks = tuple(_protocol(program, protocol))
        yield Block(f"protocol/{protocol.name}", checks=checks)


def _protocol(program: Program, protocol: n.Protocol) -> Iterator[Check]:
    wrong = [check for message in protocol.messages for check in _step(program, protocol, message)]
    if wrong:
        yield from dict.fromkeys(wrong)
    else:
        yield passed(f"protocol '{protocol.name}': {len(protocol.messages)} steps all match")


def _step(program: Program, protocol: n.Protocol, message: n.Message) -> Iterator[Check]:
    head = f"protocol '{protocol.name}'"
    roles = dict(protocol.roles)
    for role in dict.fromkeys((message.sender, message.receiver)):
        if role not in roles:
            yield failed(f"{head}: role '{role}' is not declared in `roles:`")
    cell_name = roles.get(message.receiver)
    if cell_name is None:
        return
    cells = [cell for cell in program.all_cells if cell.name == cell_name]
    handler = handlers_of(cells[0]).get(message.name) if cells else None
    if handler is None:
        yield failed(
            f"{head}: role '{message.receiver}' (cell '{cell_name}') has no handler for"
            f" '{message.name}'"
        )
    elif len(handler.params) != len(message.args):
        yield failed(
            f"{head}: message '{message.name}' declares {len(message.args)} arg(s), handler expects"
            f" {len(handler.params)}"
        )
