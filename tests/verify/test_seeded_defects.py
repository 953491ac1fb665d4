"""Seeded defects in scale sections, endings and the fit of cells: each gets a line of its own.

A mutant is caught when the verifier doubts or refutes something that it did not doubt before.
Lifecycles and the targets of handlers are in test_mutants.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from somac.frontend.load import load_text
from somac.frontend.program import Program
from somac.verify.composition import composition_blocks, protocol_blocks
from somac.verify.distribution import distribution_block
from somac.verify.report import Check
from somac.verify.termination import Endings

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
NAMES = ["pricing", "pricing-paper", "jobqueue", "chat", "inventory", "kv"]
Judge = Callable[[Program], Iterator[Check]]


@cache
def text_of(name: str) -> str:
    return (EXAMPLES / name / "app.cell").read_text("utf-8").partition("cell test")[0]


@cache
def doubts(judge: Judge, text: str) -> frozenset[str]:
    loaded = load_text(text)
    assert loaded.program is not None, (text, loaded.diagnostics)
    return frozenset(c.message for c in judge(loaded.program) if c.status != "pass")


def is_caught(judge: Judge, original: str, mutant: str) -> bool:
    assert mutant != original
    return bool(doubts(judge, mutant) - doubts(judge, original))


# --- endings -------------------------------------------------------------------------------------

HANDLER = re.compile(r"^    on (\w+)\(([^)]*)\) \{", re.MULTILINE)


def endings(program: Program) -> Iterator[Check]:
    judge = Endings(program)
    for cell in program.live:
        yield from judge.checks(cell)


def endless(text: str) -> Iterator[str]:
    """A handler that loops for ever, that calls itself, and that calls itself with more."""
    for found in HANDLER.finditer(text):
        params = [param.split(":")[0].strip() for param in found[2].split(",") if param.strip()]
        grown = [*(f"{param} + 1" for param in params[:1]), *params[1:]]
        for defect in (
            "while true { print(1) }",
            f"if now() > 0 {{ {found[1]}({', '.join(params)}) }}",
            f"if now() > 0 {{ {found[1]}({', '.join(grown)}) }}",
        ):
            yield f"{text[: found.end()]} {defect}\n{text[found.end() :]}"


@pytest.mark.slow
def test_handlers_that_need_not_end_are_caught() -> None:
    count = 0
    for name in NAMES:
        for mutant in endless(text_of(name)):
            assert is_caught(endings, text_of(name), mutant), mutant
            count += 1
    assert count >= 100


# --- scale ---------------------------------------------------------------------------------------


def distribution(program: Program) -> Iterator[Check]:
    """The lines as on a runtime that keeps every promise: what is left to doubt is the text."""
    for cell in program.live:
        block = distribution_block(cell, lambda _: True)
        if block is not None:
            yield from block.checks


SCALES = [
    (r"replicas: \d+", "replicas: 0"),
    (r"replicas: \d+", "replicas: 1"),
    (r"tolerance: \d+", "tolerance: 50"),
    (r"tolerance: \d+", "tolerance: 999"),
    (r"shard: \w+", "shard: nothing"),
    (r"shard: \w+", "shard: trade_lifecycle"),
]


@pytest.mark.parametrize("name", ["pricing", "pricing-paper", "jobqueue", "chat"])
def test_scales_that_cannot_be_are_caught(name: str) -> None:
    text = text_of(name)
    for pattern, defect in SCALES:
        assert is_caught(distribution, text, re.sub(pattern, defect, text)), defect


@pytest.mark.parametrize("name", ["pricing", "pricing-paper", "jobqueue", "chat"])
def test_a_shard_that_does_not_last_is_caught(name: str) -> None:
    text = text_of(name)
    shard = re.search(r"shard: (\w+)", text)
    assert shard is not None
    mutant = re.sub(rf"({shard[1]}: .*)\[persistent", r"\1[ephemeral", text, count=1)
    assert is_caught(distribution, text, mutant)


@pytest.mark.parametrize("name", ["pricing", "pricing-paper"])
def test_weaker_consistency_and_too_small_a_majority_are_caught(name: str) -> None:
    text = text_of(name)
    assert is_caught(distribution, text, text.replace("strong", "eventual"))
    for tolerance in (25, 30, 49):  # fewer than all replicas, and more than a majority can spare
        defect = re.sub(r"tolerance: \d+", f"tolerance: {tolerance}", text)
        assert is_caught(distribution, text, defect), tolerance


# --- composition and protocols -------------------------------------------------------------------

SHOP = """\
protocol Sale { roles: buyer = Client, till = Desk, stock = Depot
    buyer -> till: pay(item, price)
    till -> stock: take(item)
    stock -> buyer: got(item) }
cell Shop { face { signal buy(item: String) }
    on buy(item: String) { delegate("Buyer", "buy", item) }
    interior {
        cell Buyer { on buy(item: String) { emit pay(item, 1) } on got(item: String) { item } }
        cell Till { on pay(item: String, price: Int) { emit take(item) } }
        cell Stock { on take(item: String) { emit got(item) } } } }
cell Client { on got(item: String) { item } }
cell Desk { on pay(item: String, price: Int) { price } }
cell Depot { on take(item: String) { item } }
"""
INSIDE = SHOP.index("interior")
OUTSIDE = SHOP.index("cell Client")


def composition(program: Program) -> Iterator[Check]:
    for cell in program.live:
        for block in composition_blocks(cell):
            yield from block.checks
    for block in protocol_blocks(program):
        yield from block.checks


def strayed(text: str) -> Iterator[str]:
    """One word of a signal, message, role or cell misspelt, or one parameter too many."""
    for found in re.finditer(r"emit (\w+)|(?<=on )(\w+)\(|: (\w+)\(|-> (\w+):|= (\w+)", text):
        if found[2] == "buy" and found.start() < INSIDE:
            continue  # the parent's own handler takes part in nothing
        at = found.end() - (found[0][-1] in ":(")
        yield f"{text[:at]}x{text[at:]}"
    for found in re.finditer(r"(?<=on )\w+\(", text[OUTSIDE:]):
        at = OUTSIDE + found.end()
        yield f"{text[:at]}more: Int, {text[at:]}"
    for found in re.finditer(r"-> \w+: \w+\(", text):
        yield f"{text[: found.end()]}more, {text[found.end() :]}"


def test_cells_that_do_not_fit_are_caught() -> None:
    assert doubts(composition, SHOP) == frozenset()
    found = list(strayed(SHOP))
    assert len(found) >= 20
    for mutant in found:
        assert is_caught(composition, SHOP, mutant), mutant
