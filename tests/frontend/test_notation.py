"""Our reader of grammars builds what parsimonious builds."""

from __future__ import annotations

import pytest
from parsimonious.expressions import Regex
from parsimonious.grammar import Grammar

from somac.frontend.parser.grammar import fast_text, grammar_text
from somac.frontend.parser.notation import read_grammar


def shape(expression: object, below_rule: bool = True) -> object:
    """An expression as data, names of rules in the place of their content."""
    name = getattr(expression, "name", "")
    if name and not below_rule:
        return name
    members = [shape(m, False) for m in getattr(expression, "members", ())]
    more: tuple[object, ...] = ()
    if isinstance(expression, Regex):
        more = (expression.re.pattern,)
        return ("Regex", name, more)
    for attribute in ("literal", "min", "max", "negativity"):
        more += (getattr(expression, attribute, None),)
    return (type(expression).__name__, name, more, members)


@pytest.mark.parametrize("text", [grammar_text(), fast_text()], ids=["whole", "fast"])
def test_rules_are_those_of_parsimonious(text: str) -> None:
    wanted, got = Grammar(text), read_grammar(text)
    assert list(got) == list(wanted)
    for name, expression in got.items():
        assert shape(expression) == shape(wanted[name]), name


@pytest.mark.parametrize("text", ["a = b", "a = (b", "a = ", "= b", "a = 'x'", 'a = "x" / )'])
def test_other_notations_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a grammar|another name"):
        read_grammar(text)
