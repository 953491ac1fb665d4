"""Declarations: modules, cells and their sections (core 2.1 to 2.6)."""

from __future__ import annotations

from itertools import pairwise

from .. import nodes as n
from .base import kids, word
from .grammar import Tree, plain_arrow
from .statements import StatementBuilder


class Builder(StatementBuilder):
    """The whole visitor. One object builds the trees of one text."""

    cell_name = ""  # of the innermost cell being built; names its anonymous machines

    def visit_use(self, tree: Tree) -> n.Use:
        target = kids(tree)[0]
        if target.expr.name == "string":
            return n.Use((), self.plain_string(target), span=self.span(tree))
        parts = tuple(word(t) for t in kids(target) if t.expr.name == "any_name")
        return n.Use(parts, span=self.span(tree))

    def visit_item(self, tree: Tree) -> n.Cell | n.Protocol:
        item: n.Cell | n.Protocol = self.only(tree)
        return item

    # --- cells -------------------------------------------------------------------------------

    def visit_cell(self, tree: Tree) -> n.Cell:
        parts = kids(tree)
        kind = word(parts.pop(0)) if parts[0].expr.name == "cell_kind" else "cell"
        name = parts.pop(0)
        params: tuple[str, ...] = ()
        if parts and parts[0].expr.name == "type_params":
            params = tuple(word(t) for t in kids(parts.pop(0)))
        options: tuple[tuple[str, str], ...] = ()
        if parts and parts[0].expr.name == "agent_options":
            options = self.all(kids(parts.pop(0)))
        outer, self.cell_name = self.cell_name, word(name)
        sections = self.all(parts)
        self.cell_name = outer
        span, name_span = self.span(tree), self.span(name)
        return n.Cell(kind, word(name), sections, params, options, name_span, span=span)

    def visit_agent_option(self, tree: Tree) -> tuple[str, str]:
        key, value = kids(tree)
        text = word(value)
        return word(key), self.plain_string(value) if text.startswith('"') else text

    def visit_section(self, tree: Tree) -> n.Section:
        section: n.Section = self.only(tree)
        return section

    def visit_handler(self, tree: Tree) -> n.Handler:
        name, *rest = kids(tree)
        body = rest.pop()
        params: tuple[n.Param, ...] = ()
        annotations: tuple[str, ...] = ()
        returns: n.TypeRef | None = None
        for part in rest:
            if part.expr.name == "params":
                params = self.build(part)
            elif part.expr.name == "annotations":
                annotations = tuple(word(t) for t in kids(part))
            else:
                returns = self.build(part)
        block = self.build(body)
        return n.Handler(word(name), params, annotations, block, returns, span=self.span(tree))

    def visit_params(self, tree: Tree) -> tuple[n.Param, ...]:
        return self.all(kids(tree))

    def visit_param(self, tree: Tree) -> n.Param:
        name, type_ = kids(tree)
        return n.Param(word(name), self.build(type_), span=self.span(tree))

    def visit_type(self, tree: Tree) -> n.TypeRef:
        names = [t for t in kids(tree) if t.expr.name == "name"]
        args = [t for t in kids(tree) if t.expr.name == "type_args"]
        self.enter(tree)
        items = self.all(kids(args[0])) if args else ()
        self.depth -= 1
        return n.TypeRef(".".join(word(t) for t in names), items, span=self.span(tree))

    def visit_memory(self, tree: Tree) -> n.Memory:
        slots, invariants = [], []
        for part in kids(tree):
            if part.expr.name == "slot":
                slots.append(self.build(part))
            else:
                invariants.append(self.only(part))
        return n.Memory(tuple(slots), tuple(invariants), span=self.span(tree))

    def visit_slot(self, tree: Tree) -> n.Slot:
        name, type_, *properties = kids(tree)
        props = self.build(properties[0]) if properties else ()
        return n.Slot(word(name), self.build(type_), props, span=self.span(tree))

    # --- faces -------------------------------------------------------------------------------

    def visit_face(self, tree: Tree) -> n.Face:
        return n.Face(self.all(kids(tree)), span=self.span(tree))

    def visit_face_item(self, tree: Tree) -> n.Signature | n.Given | n.Promise:
        item: n.Signature | n.Given | n.Promise = self.only(tree)
        return item

    def visit_signature(self, tree: Tree) -> n.Signature:
        kind, *rest = kids(tree)
        return self._signature(word(kind), rest, tree)

    def visit_tool(self, tree: Tree) -> n.Signature:
        return self._signature("tool", kids(tree), tree)

    def _signature(self, kind: str, parts: list[Tree], tree: Tree) -> n.Signature:
        name, *rest = parts
        found = {t.expr.name: t for t in rest}
        return n.Signature(
            kind,
            word(name),
            self.build(found["params"]) if "params" in found else (),
            self.build(found["type"]) if "type" in found else None,
            self.all(kids(found["capabilities"])) if "capabilities" in found else (),
            self.plain_string(found["string"]) if "string" in found else None,
            span=self.span(tree),
        )

    def visit_capability(self, tree: Tree) -> tuple[str, tuple[str, ...]]:
        name, *texts = kids(tree)
        return word(name), tuple(self.plain_string(t) for t in texts)

    def visit_given(self, tree: Tree) -> n.Given:
        name, type_, *constraints = kids(tree)
        return n.Given(word(name), self.build(type_), self.all(constraints), span=self.span(tree))

    def visit_promise(self, tree: Tree) -> n.Promise:
        value = kids(tree)[0]
        if value.expr.name == "string":
            return n.Promise(self.text_literal(value), True, span=self.span(tree))
        return n.Promise(self.build(value), span=self.span(tree))

    # --- machines ----------------------------------------------------------------------------

    def visit_machine(self, tree: Tree) -> n.Machine:
        name, type_, properties = self.cell_name, None, ()
        initial: str | None = None
        arrows: list[n.Transition] = []
        for part in kids(tree):
            match part.expr.name:
                case "any_name":
                    name = word(part)
                case "machine_type":
                    type_ = word(kids(part)[0])
                case "properties":
                    properties = self.build(part)
                case "initial":
                    initial = word(kids(part)[0])
                case _:
                    arrows += self.build(part)
        explicit = initial is not None
        if initial is None:
            if not arrows or arrows[0].source == "*":
                message = "expected an 'initial:' declaration or a non-wildcard first transition"
                raise self.reject("E014", message, tree)
            initial = arrows[0].source
        return n.Machine(
            name, type_, properties, initial, tuple(arrows), explicit, span=self.span(tree)
        )

    def visit_transition(self, tree: Tree) -> list[n.Transition]:
        """A chain as single arrows; the block belongs to the first one."""
        guard, effect = None, None
        states: list[Tree] = []
        block_end = 0
        for part in kids(tree):
            if part.expr.name == "transition_block":
                block_end = self.end(part)
                for item in kids(part):
                    if item.expr.name == "guard":
                        guard = self.only(item)
                    else:
                        effect = self.only(item)
            else:
                states.append(part)
        arrows: list[n.Transition] = []
        for source, target in pairwise(states):
            span = self.place(
                source.start, self.end(target) if arrows else max(self.end(target), block_end)
            )
            first = not arrows
            arrows.append(
                n.Transition(
                    word(source),
                    word(target),
                    guard if first else None,
                    effect if first else None,
                    span=span,
                )
            )
        return arrows

    def visit_plain_arrows(self, tree: Tree) -> list[n.Transition]:
        """Arrows of two names each: long machines have thousands."""
        return [
            n.Transition(found[1], found[2], None, None, span=self.place(*found.span()))
            for found in plain_arrow().finditer(self.text, tree.start, tree.end)
        ]

    # --- timers, scale, cost, variants -------------------------------------------------------

    def visit_every(self, tree: Tree) -> n.Every:
        amount, body = kids(tree)
        return n.Every(self._interval(amount), self.build(body), span=self.span(tree))

    def visit_after(self, tree: Tree) -> n.After:
        amount, body = kids(tree)
        return n.After(self._interval(amount), self.build(body), span=self.span(tree))

    def _interval(self, tree: Tree) -> int:
        """A duration, or a number of seconds, in milliseconds."""
        value = self.only(tree)
        return value.milliseconds if isinstance(value, n.Duration) else int(value.value * 1000)

    def visit_scale(self, tree: Tree) -> n.Scale:
        return n.Scale(self.all(kids(tree)), span=self.span(tree))

    def visit_scale_entry(self, tree: Tree) -> n.ScaleEntry:
        key, value = kids(kids(tree)[0])
        shown = kids(value)[0] if value.expr.name == "size" else value
        result: int | str
        if shown.expr.name == "integer":
            result = self.visit_integer(shown).value
        elif shown.expr.name == "string":
            result = self.plain_string(shown)
        else:
            result = word(shown)
        return n.ScaleEntry(word(key), result, span=self.span(tree))

    def visit_cost(self, tree: Tree) -> n.Cost:
        return n.Cost(self.all(kids(tree)), span=self.span(tree))

    def visit_cost_entry(self, tree: Tree) -> tuple[str, int | float]:
        key, value = kids(tree)
        built = self.build(value)
        return word(key), built.milliseconds if isinstance(built, n.Duration) else built.value

    def visit_variants(self, tree: Tree) -> n.Variants:
        return n.Variants(self.all(kids(tree)), span=self.span(tree))

    def visit_variant_decl(self, tree: Tree) -> n.VariantDecl:
        name, *payload = kids(tree)
        span = self.span(tree)
        if not payload:
            return n.VariantDecl(word(name), "unit", span=span)
        items = self.all(kids(payload[0]))
        if payload[0].expr.name == "variant_types":
            return n.VariantDecl(word(name), "tuple", items, span=span)
        fields = tuple((p.name, p.type) for p in items)
        return n.VariantDecl(word(name), "struct", fields=fields, span=span)

    # --- interior and runtime ----------------------------------------------------------------

    def visit_interior(self, tree: Tree) -> n.Interior:
        return n.Interior(self.all(kids(tree)), span=self.span(tree))

    def visit_runtime(self, tree: Tree) -> n.Runtime:
        return n.Runtime(self.all(kids(tree)), span=self.span(tree))

    def visit_connect(self, tree: Tree) -> n.Connect:
        cell, signal, target = (word(t) for t in kids(tree))
        return n.Connect(cell, signal, target, span=self.span(tree))

    def visit_start(self, tree: Tree) -> n.Start:
        return n.Start(word(kids(tree)[0]), span=self.span(tree))

    # --- rules and tests ---------------------------------------------------------------------

    def visit_rules(self, tree: Tree) -> n.Rules:
        return n.Rules(self.all(kids(tree)), span=self.span(tree))

    def visit_bare_rules(self, tree: Tree) -> n.Rules:
        return n.Rules(self.all(kids(tree)), bare=True, span=self.span(tree))

    def visit_rule(self, tree: Tree) -> n.Rule:
        rule: n.Rule = self.only(tree)
        return rule

    def visit_name_rule(self, tree: Tree) -> n.NameRule:
        kind, *names = (word(t) for t in kids(tree))
        return n.NameRule(kind, tuple(names), span=self.span(tree))

    def visit_mutex_rule(self, tree: Tree) -> n.NameRule:
        return n.NameRule("mutex_group", (word(kids(tree)[0]),), span=self.span(tree))

    def visit_check_rule(self, tree: Tree) -> n.CheckRule:
        return n.CheckRule(self.only(tree), span=self.span(tree))

    def visit_native_rule(self, tree: Tree) -> n.NativeRule:
        return n.NativeRule(self.plain_string(kids(tree)[0]), span=self.span(tree))

    def visit_assertion(self, tree: Tree) -> n.Assert:
        return n.Assert(self.only(tree), span=self.span(tree))

    def visit_property_test(self, tree: Tree) -> n.PropertyTest:
        text, variable, type_, low, high, *count, ensures = kids(tree)
        return n.PropertyTest(
            self.plain_string(text),
            word(variable),
            word(type_),
            self.visit_bound(low).value,
            self.visit_bound(high).value,
            self.visit_integer(kids(count[0])[0]).value if count else None,
            self.build(ensures),
            span=self.span(tree),
        )

    # --- protocols ---------------------------------------------------------------------------

    def visit_protocol(self, tree: Tree) -> n.Protocol:
        name, *entries = kids(tree)
        roles: list[tuple[str, str]] = []
        messages: list[n.Message] = []
        for entry in entries:
            if entry.expr.name == "roles":
                roles += ((word(a), word(b)) for a, b in map(kids, kids(entry)))
            else:
                messages.append(self.build(entry))
        return n.Protocol(word(name), tuple(roles), tuple(messages), span=self.span(tree))

    def visit_message(self, tree: Tree) -> n.Message:
        sender, receiver, name, *args = kids(tree)
        names = tuple(word(kids(arg)[0]) for arg in args)
        return n.Message(word(sender), word(receiver), word(name), names, span=self.span(tree))
