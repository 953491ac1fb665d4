"""Law: a native handler computes what the static rules of core §6 say, whatever was made inline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from somac.codegen import generate, load_in_memory
from somac.frontend.load import load_text
from somac.manifest import Manifest
from somart import App, SomaError
from somart.engines.standalone import StandaloneEngine


def quotient(a: int, b: int) -> int:
    """Toward zero, the slow way."""
    if b == 0:
        raise SomaError("division by zero")
    q = abs(a) // abs(b)
    return q if (a < 0) == (b < 0) else -q


def remainder(a: int, b: int) -> int:
    if b == 0:
        raise SomaError("modulo by zero")
    return a - quotient(a, b) * b


def fetch(b: list[int], i: int) -> int:
    if not 0 <= i < len(b):
        raise SomaError("out of range")
    return b[i]


def store(b: list[int], i: int, v: int) -> None:
    fetch(b, i)
    b[i] = v


REFERENCE = {"quotient": quotient, "remainder": remainder, "fetch": fetch, "store": store}


@dataclass(frozen=True)
class Twin:
    """The same piece of program in Soma and in plain Python."""

    soma: str
    python: str


def twin(soma: str, python: str, *parts: Twin) -> Twin:
    return Twin(soma.format(*(p.soma for p in parts)), python.format(*(p.python for p in parts)))


FORMS = [
    ("({} + {})", "({} + {})"),
    ("({} - {})", "({} - {})"),
    ("({} * {})", "({} * {})"),
    ("({} / {})", "quotient({}, {})"),
    ("({} % {})", "remainder({}, {})"),
    ("band({}, {})", "({} & {})"),
    ("bor({}, {})", "({} | {})"),
    ("bxor({}, {})", "({} ^ {})"),
    ("min({}, {})", "min({}, {})"),
    ("max({}, {})", "max({}, {})"),
]
ONE = [
    ("bnot({})", "(~{})"),
    ("abs({})", "abs({})"),
    ("shl({}, 2)", "({} << 2)"),
    ("shr({}, 3)", "({} >> 3)"),
    ("bit_len({})", "({}).bit_length()"),
    ("buf_get(b, {})", "fetch(b, {})"),
    ("(0 - {})", "(0 - {})"),
]
NAMES = ["n", "x", "y", "i"]
leaves = st.sampled_from([Twin(t, t) for t in (*NAMES, "0", "1", "2", "7", "100")])
expressions = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(lambda f, a, b: twin(*f, a, b), st.sampled_from(FORMS), inner, inner),
        st.builds(lambda f, a: twin(*f, a), st.sampled_from(ONE), inner),
    ),
    max_leaves=5,
)
TESTS = [
    ("{} % {} == 0", "remainder({}, {}) == 0"),
    ("{} < {}", "{} < {}"),
    ("{} != {}", "{} != {}"),
]
statements = st.one_of(
    st.builds(
        lambda v, e: twin(v + " = {}", v + " = {}", e), st.sampled_from(["x", "y"]), expressions
    ),
    st.builds(lambda e: twin("x /= {}", "x = quotient(x, {})", e), expressions),
    st.builds(
        lambda i, e: twin("buf_set(b, {}, {})", "store(b, {}, {})", i, e), leaves, expressions
    ),
    st.builds(
        lambda f, a, b, e: twin("if " + f[0] + " {{ y = {} }}", "if " + f[1] + ": y = {}", a, b, e),
        st.sampled_from(TESTS),
        leaves,
        leaves,
        expressions,
    ),
)


def outcome_in_soma(body: list[Twin], n: int) -> Any:
    lines = " ".join(s.soma for s in body)
    text = (
        "cell C { on f(n: Int) [native] { let b = buffer(8) let x = 5 let y = 0"
        f" for i in range(0, 3) {{ {lines} if abs(x) > 1000000 {{ x = x % 1000 }} }}"
        " return x * 1000003 + y + buf_get(b, 1) } }"
    )
    loaded = load_text(text, "c.cell")
    assert loaded.program is not None, (text, loaded.diagnostics)
    app = App(
        load_in_memory(generate(loaded.program, Manifest(), runtime="somart")),
        StandaloneEngine(None),
    )
    try:
        return app.call("C", "f", (n,))
    except SomaError:
        return "error"


def outcome_in_python(body: list[Twin], n: int) -> Any:
    lines = "".join(f"  {s.python}\n" for s in body)
    text = (
        f"b = [0] * 8\nx = 5\ny = 0\nfor i in range(3):\n{lines}"
        "  if abs(x) > 1000000: x = remainder(x, 1000)\nr = x * 1000003 + y + b[1]\n"
    )
    names: dict[str, Any] = {**REFERENCE, "n": n}
    try:
        exec(text, names)  # text of this file's own making
    except SomaError:
        return "error"
    return names["r"]


@settings(max_examples=40, deadline=None)
@given(st.lists(statements, min_size=1, max_size=5), st.integers(-50, 50))
def test_native_arithmetic(body: list[Twin], n: int) -> None:
    assert outcome_in_soma(body, n) == outcome_in_python(body, n)
