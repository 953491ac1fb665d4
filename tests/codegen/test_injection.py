"""Names and strings of a program stay names and strings in the generated Python."""

from __future__ import annotations

import ast
import keyword

from hypothesis import given, settings
from hypothesis import strategies as st

from somac.codegen import generate, load_in_memory
from somac.codegen.literals import docstring, format_text, string
from somac.codegen.mangle import CELL_ATTRIBUTES, RUNTIME_NAMES, attribute_name, python_name
from somac.frontend import nodes as n
from somac.frontend.program import Program
from somac.frontend.source import Source
from somac.manifest import Manifest
from somart import App, Cell, StandaloneEngine

ANY_TEXT = st.text(st.characters(exclude_categories=())) | st.sampled_from(
    ['"""', "'''", '\\"', "{0}", "\x00", "\ud800", "\n\r\u2028", '"; import os #', "{__import__}"]
)
NAMES = st.sampled_from(
    """self class None ops std print len range type match __import__ __init__ __x handler app Cell
    emit savepoint lambda x x_ x_2 _ native _fib_native _every_1 l str dict""".split()  # noqa: SIM905
)


@given(ANY_TEXT)
@settings(max_examples=150, deadline=None)
def test_a_literal_is_exactly_its_text(text: str) -> None:
    literal = string(text)
    assert ast.literal_eval(literal) == text
    assert literal.isprintable()
    assert eval(f'f"{format_text(text)}"') == text


@given(ANY_TEXT)
@settings(max_examples=50, deadline=None)
def test_a_docstring_cannot_end_early(text: str) -> None:
    body = ast.parse(docstring(text)).body
    assert len(body) == 1
    assert isinstance(body[0], ast.Expr)


@given(NAMES, NAMES, ANY_TEXT)
@settings(max_examples=60, deadline=None)
def test_programs_with_hostile_names_run(handler: str, variable: str, text: str) -> None:
    body = n.Block((n.Let(variable, n.Str(text, (text,))), n.Return(n.Name(variable))))
    params = (n.Param("first", n.TypeRef("Int")),)
    on = n.Handler(handler, params, (), body)
    later = n.Handler(f"{handler}_later", params, (), body)
    slot = n.Memory((n.Slot(handler, n.TypeRef("Map")),))
    cell = n.Cell("cell", "Main", (slot, on, later))
    source = Source("app.cell", "")
    program = Program(source, (source,), (cell,))
    generated = generate(program, Manifest(), runtime="somart")
    for module in generated.modules:
        ast.parse(module.text)
    spec = load_in_memory(generated)
    with App(spec, StandaloneEngine(None)) as app:
        assert app.call("Main", handler, [1]) == text


def test_reserved_names_cover_the_runtime() -> None:
    taken = {name for name in dir(Cell) if not name.startswith("__")}
    missing = {name for name in taken if attribute_name(name) == name}
    assert not missing
    for name in (*keyword.kwlist, *RUNTIME_NAMES, *CELL_ATTRIBUTES, "__import__"):
        assert attribute_name(name).isidentifier()
        assert not keyword.iskeyword(python_name(name))
