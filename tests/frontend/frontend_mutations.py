"""Mutations of programs, and the oracle of the frontend's fuzzers: only diagnostics come out."""

from __future__ import annotations

import random
from pathlib import Path

from somac.frontend import limits
from somac.frontend.lexer import scan
from somac.frontend.load import Loaded, load_text
from somac.frontend.render import render, to_json

ROOT = Path(__file__).parents[2]
ALPHABET = '{}()[]<>"\\/*+-=!|&.,:;%?_ \n\t\0\ufeff09azAZé漢\u2028'
WORDS = [
    "cell",
    "on",
    "let",
    "if",
    "else",
    "match",
    "try",
    "memory",
    "state",
    "face",
    "rules",
    "every",
    "scale",
    "=>",
    "->",
    "|>",
    "??",
    "//",
    "/*",
    "*/",
    '"""',
    "1.5s",
    "50%",
    "1e",
    "99999999999999999999",
    "emit",
    "return",
    "use",
    "test",
    "{",
    "}",
    "(",
    ")",
]


def seeds() -> list[str]:
    """Programs to begin with: the examples and the corpus."""
    folders = (ROOT / "examples", Path(__file__).parent / "corpus")
    return [p.read_text(encoding="utf-8") for f in folders for p in sorted(f.rglob("*.cell"))]


def mutate(text: str, rng: random.Random) -> str:
    """One mutation: characters or tokens are deleted, repeated, swapped, replaced or inserted."""
    if not text:
        return rng.choice(WORDS)
    start = rng.randrange(len(text))
    end = min(len(text), start + rng.choice((1, 1, 2, 10, 100)))
    match rng.randrange(8):
        case 0:
            return text[:start] + text[end:]
        case 1:
            return text[:end] + text[start:end] + text[end:]
        case 2:
            return text[:start] + rng.choice(ALPHABET) + text[start:]
        case 3:
            return text[:start] + f" {rng.choice(WORDS)} " + text[start:]
        case 4:
            return text[:start] + rng.choice(ALPHABET) * rng.choice((1, 300)) + text[end:]
        case 5:
            return text[:start]
        case _:
            return _mutate_tokens(text, rng)


def _mutate_tokens(text: str, rng: random.Random) -> str:
    tokens = scan(text).tokens
    if len(tokens) < 2:
        return text
    a, b = sorted(rng.sample(tokens, 2))
    a, b = (a, b) if a.start < b.start else (b, a)
    first, second = text[a.start : a.end], text[b.start : b.end]
    if rng.random() < 0.5:
        return text[: a.start] + text[a.end :]
    return text[: a.start] + second + text[a.end : b.start] + first + text[b.end :]


def assert_only_diagnostics(text: str) -> Loaded:
    """The oracle: a program or errors with places inside the text, all of which can be shown."""
    loaded = load_text(text, "fuzz.cell")
    assert (loaded.program is None) == bool(loaded.diagnostics)
    assert len(loaded.diagnostics) <= limits.DIAGNOSTICS
    for diagnostic in loaded.diagnostics:
        span = diagnostic.span
        assert span is not None
        assert 0 <= span.start <= span.end <= len(text)
        assert render(diagnostic)
        assert to_json(diagnostic)["code"] == diagnostic.code
    return loaded
