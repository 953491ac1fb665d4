"""The grammar file stands on its own: plain parsimonious reads programs with it."""

from __future__ import annotations

from pathlib import Path

import pytest
from parsimonious.exceptions import ParseError
from parsimonious.grammar import Grammar

from somac.frontend.lexer import CONTEXTUAL_KEYWORDS, HARD_KEYWORDS
from somac.frontend.parser.grammar import grammar_text

CORPUS = Path(__file__).parent / "corpus"


@pytest.mark.slow
def test_the_grammar_parses_programs_with_their_comments() -> None:
    grammar = Grammar(grammar_text())
    text = (CORPUS / "everything.cell").read_text(encoding="utf-8")
    assert grammar["program"].parse(text).end == len(text)
    with pytest.raises(ParseError):
        grammar["program"].parse(text.replace("cell Main {", "cell Main"))


def test_the_keywords_of_the_grammar_are_those_of_the_scan() -> None:
    lines = {line.split(" ")[0]: line for line in grammar_text().split("\n")}
    for rule, words in (
        ("name", HARD_KEYWORDS),
        ("variable", HARD_KEYWORDS),
        ("plain_lower", HARD_KEYWORDS | CONTEXTUAL_KEYWORDS),
        ("lambda_param", HARD_KEYWORDS | CONTEXTUAL_KEYWORDS),
        ("any_name", HARD_KEYWORDS - {"cell"}),
    ):
        listed = lines[rule].split("(?!(?:")[1].split(")")[0].split("|")
        assert set(listed) == words, rule
