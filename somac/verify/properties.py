"""What the user demands in `[verify]` of soma.toml, read for one machine (§5.3, §7).

`[verify]` speaks of all machines, `[verify.NAME]` of one. The types of the values have been
checked where the manifest is read; here the names are.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..frontend.diagnostics import Diagnostic, Severity
from ..frontend.names import nearest
from ..frontend.source import Source, Span
from ..manifest import VERIFY_KEYS, Manifest
from .ctl import Formula, FormulaError, atoms, parse

_ARROW = re.compile(r"\s*(\*|\w+)\s*->\s*(\w+)\s*")

COMPARED_MAX = 2000  # states that a misspelt one is compared with: a tenth of a second
LISTED_MAX = 8  # states that advice lists

Arrow = tuple[str, str]


@dataclass(frozen=True)
class Demand:
    """One property. `kind` is eventually, never, always, after_eventually, after_never or ctl; for
    the `after` kinds `start` is the state that it begins at."""

    kind: str
    names: tuple[str, ...] = ()
    start: str = ""
    formula: Formula | None = None
    title: str = ""
    place: Span | None = None
    start_place: Span | None = None


@dataclass(frozen=True)
class Demands:
    """All that is demanded of one machine."""

    properties: tuple[Demand, ...] = ()
    final: tuple[str, ...] | None = None
    fair: tuple[tuple[Arrow, ...], ...] = ()


@dataclass
class _Section:
    """`[verify]` or `[verify.NAME]`: its table, and where it stands."""

    path: str
    table: Mapping[str, Any]
    machine: str | None = None
    properties: list[Demand] = field(default_factory=list)


class Wishes:
    """The `[verify]` part of a manifest, read against the machines of a program.

    `machines` maps the name of each machine to its states. `diagnostics` has what is wrong or
    doubtful; with an error among them, nothing should be verified.
    """

    def __init__(self, manifest: Manifest, machines: Mapping[str, Sequence[str]]) -> None:
        self.machines = {name: set(states) for name, states in machines.items()}
        self.everywhere = {state for states in machines.values() for state in states}
        self.diagnostics: list[Diagnostic] = []
        self._places = Places(manifest.source)
        self._sections = [_Section("verify", manifest.verify)]
        self._find_sections(manifest.verify)
        for section in self._sections:
            section.properties += self._read(section)
        self._check_final_and_fair()

    def count(self) -> int:
        """How many properties the user has defined: names, formulas, and `deadlock_free`."""
        total = 0
        for section in self._sections:
            total += section.table.get("deadlock_free") is True
            for demand in section.properties:
                total += 1 if demand.kind == "ctl" else len(demand.names)
        return total

    def of(self, machine: str) -> Demands:
        """What is demanded of a machine: `[verify]` first, then its own section."""
        states = self.machines[machine]
        properties: list[Demand] = []
        final: tuple[str, ...] | None = None
        fair: list[tuple[Arrow, ...]] = []
        for section in self._sections:
            if section.machine not in (None, machine):
                continue
            properties += [d for d in section.properties if self._concerns(section, d, states)]
            wanted = section.table.get("final")
            if wanted is not None:
                known = tuple(name for name in wanted if name in states)
                elsewhere = section.machine is None and not self.everywhere.isdisjoint(wanted)
                if known or not elsewhere:  # else it is about other machines
                    final = known
            fair += [arrows for arrows, _ in self._fair(section)]
        ordered = [d for d in properties if d.kind != "ctl"]
        ordered += [d for d in properties if d.kind == "ctl"]
        return Demands(tuple(ordered), final, tuple(fair))

    def unknown(self, machine: str, demand: Demand) -> Iterator[Diagnostic]:
        """Warnings about names of a property that the machine does not have."""
        states = self.machines[machine]
        mentioned = [*demand.names, *([demand.start] if demand.start else [])]
        if demand.formula is not None:
            mentioned += [a.name for a in atoms(demand.formula)]
        matters = demand.kind in ("eventually", "always")
        for name in dict.fromkeys(mentioned):
            if name in states or (name in self.everywhere and not matters):
                continue
            place = self._places.text(demand.place, name)
            if name == demand.start:
                place = demand.start_place
            fix = None
            if name in self.everywhere:
                owner = next(m for m, known in self.machines.items() if name in known)
                fix = f"move the property to [verify.{owner}]"
            yield Diagnostic(
                "W282",
                Severity.WARNING,
                f"soma.toml: state '{name}' is unknown to state machine '{machine}'",
                place,
                hint=_meant(name, states),
                fix=fix,
            )

    # --- reading ---------------------------------------------------------------------------------

    def _find_sections(self, table: Mapping[str, Any]) -> None:
        for key, value in table.items():
            if key in VERIFY_KEYS:
                continue
            if isinstance(value, dict) and key in self.machines:
                self._sections.append(_Section(f"verify.{key}", value, key))
                for inner in value:
                    if inner not in VERIFY_KEYS:
                        self._unknown_key(f"verify.{key}", inner, VERIFY_KEYS)
            else:
                known = self.machines if isinstance(value, dict) else VERIFY_KEYS
                self._unknown_key("verify", key, known, isinstance(value, dict))

    def _unknown_key(
        self, section: str, key: str, known: Mapping[str, Any] | frozenset[str], table: bool = False
    ) -> None:
        near = nearest(key, {*known, *VERIFY_KEYS})
        message = f"soma.toml: unknown key `{key}` in [{section}]"
        if table:
            message = f"soma.toml: [{section}.{key}] names no state machine of the program"
        place = self._places.key(section, key)
        hint = f"did you mean '{near}'?" if near else None
        self.diagnostics.append(Diagnostic("E281", Severity.ERROR, message, place, hint=hint))

    def _read(self, section: _Section) -> Iterator[Demand]:
        table, path = section.table, section.path

        def names(key: str) -> tuple[str, ...]:
            return tuple(table.get(key, ()))

        def place(key: str, path: str = path) -> Span | None:
            return self._places.key(path, key)

        if names("eventually"):
            yield Demand("eventually", names("eventually"), place=place("eventually"))
        for kind in ("never", "always"):
            for name in names(kind):
                yield Demand(kind, (name,), place=place(kind))
        for start, rules in sorted(table.get("after", {}).items()):
            inner = f"{path}.after.{start}"
            head = self._places.key(f"{path}.after", start)
            if rules.get("eventually"):
                where = place("eventually", inner)
                yield Demand(
                    "after_eventually", tuple(rules["eventually"]), start, None, "", where, head
                )
            for name in rules.get("never", ()):
                where = place("never", inner)
                yield Demand("after_never", (name,), start, None, "", where, head)
            for key in rules:
                if key not in ("eventually", "never"):
                    self._unknown_key(inner, key, frozenset({"eventually", "never"}))
        for title, text in table.get("ctl", {}).items():
            yield from self._formula(path, title, text)

    def _formula(self, path: str, title: str, text: str) -> Iterator[Demand]:
        place = self._places.key(f"{path}.ctl", title)
        try:
            yield Demand("ctl", formula=parse(text), title=title, place=place)
        except FormulaError as error:
            where = self._places.text(place, text, error.offset)
            message = f"soma.toml: formula `{title}`: {error.message}"
            self.diagnostics.append(
                Diagnostic("E280", Severity.ERROR, message, where, hint=error.hint)
            )

    def _concerns(self, section: _Section, demand: Demand, states: set[str]) -> bool:
        """A formula of `[verify]` is about the machines that have its states; one that fits no
        machine is about all."""
        if demand.formula is None or section.machine is not None:
            return True
        wanted = {a.name for a in atoms(demand.formula)}
        return wanted <= states or not any(wanted <= s for s in self.machines.values())

    def _fair(self, section: _Section) -> Iterator[tuple[tuple[Arrow, ...], str]]:
        """The constraints of a section: an arrow, or a list of arrows of which one is taken."""
        for item in section.table.get("fair", ()):
            texts = [item] if isinstance(item, str) else item
            found = [_ARROW.fullmatch(text) for text in texts]
            yield tuple((m[1], m[2]) for m in found if m is not None), str(
                texts[0] if texts else ""
            )

    def _check_final_and_fair(self) -> None:
        for section in self._sections:
            known = self.machines.get(section.machine or "", self.everywhere)
            for name in section.table.get("final", ()):
                self._known_state(section, "final", name, known)
            for item in section.table.get("fair", ()):
                for text in [item] if isinstance(item, str) else item:
                    found = _ARROW.fullmatch(text)
                    if found is None:
                        place = self._places.text(self._places.key(section.path, "fair"), text)
                        message = f'soma.toml: `fair` needs arrows like "a -> b", not "{text}"'
                        self.diagnostics.append(Diagnostic("E280", Severity.ERROR, message, place))
                        continue
                    for name in found.groups():
                        if name != "*":
                            self._known_state(section, "fair", name, known)

    def _known_state(self, section: _Section, key: str, name: str, known: set[str]) -> None:
        if name not in known:
            place = self._places.text(self._places.key(section.path, key), name)
            message = f"soma.toml: `{key}` in [{section.path}] names the unknown state '{name}'"
            hint = _meant(name, known)
            self.diagnostics.append(Diagnostic("W282", Severity.WARNING, message, place, hint=hint))


def _meant(name: str, states: Collection[str]) -> str | None:
    """Advice on an unknown state: one that looks alike, or which ones there are."""
    if len(states) > COMPARED_MAX:
        return None
    same = [state for state in states if state.lower() == name.lower()]
    near = same[0] if same else nearest(name, states)
    if near is not None:
        return f"did you mean '{near}'?"
    return f"the states are {', '.join(sorted(states))}" if len(states) <= LISTED_MAX else None


class Places:
    """Where keys and texts of soma.toml stand. tomllib keeps no positions: this looks at the
    text, and falls back to the section or the beginning."""

    def __init__(self, source: Source | None) -> None:
        self.source = source

    def key(self, section: str, key: str) -> Span | None:
        if self.source is None:
            return None
        text = self.source.text
        head = re.search(rf"^[ \t]*\[{re.escape(section)}\]", text, re.M)
        if head is None and "." in section:  # an inline table or dotted keys
            above, _, last = section.rpartition(".")
            outer = self.key(above, last)
            start = outer.start if outer is not None else 0
        else:
            start = head.end() if head else 0
        found = re.compile(rf"(?<![\w\"'-])[\"']?({re.escape(key)})[\"']?\s*[=\].]", re.M).search(
            text, start
        )
        if found:
            return Span(self.source, *found.span(1))
        return Span(self.source, head.start() if head else 0, start) if start else None

    def text(self, after: Span | None, text: str, offset: int = 0) -> Span | None:
        """The place of a character of a text that is written behind a key."""
        if self.source is None or after is None:
            return after
        found = re.compile(rf"(?<!\w){re.escape(text)}(?!\w)").search(self.source.text, after.end)
        if found is None:
            found = re.compile(rf"(?<!\w){re.escape(text)}(?!\w)").search(
                self.source.text, after.start
            )
        if found is None:
            return after
        return Span(self.source, found.start() + offset, max(found.end(), found.start() + offset))
