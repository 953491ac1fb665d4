"""The catalogue of builtin functions: what the compiler must know about each name.

A name is a builtin only when it is called with at least `min_args` arguments (the daggers of the
builtins reference, §1); otherwise the search goes on among the handlers.
"""

from __future__ import annotations

from collections.abc import Iterable

from .frozen import Frozen

MODEL_CALLS = "model calls"
LINEAR_ALGEBRA = "linear algebra and risk functions"


class Builtin(Frozen):
    """One builtin function.

    `effect` is "pure", "print", "clock", "random" or "file" (plain calls), "context" (methods of
    the cell), or "async". `result` is the kind of every result, None when it is not fixed.
    `lambda_only` names are builtins only when a lambda is among the arguments. `pipe` is False for
    names that cannot stand on the right of a pipe.
    """

    name: str
    min_args: int = 0
    effect: str = "pure"
    result: str | None = None
    family: str = "core"
    native_only: bool = False
    supported: bool = True
    pipe: bool = True
    max_args: int | None = None  # None: surplus arguments are ignored
    lambda_only: bool = False


# One row a builtin: name, least number of arguments († of the reference), kind of the result.
_PURE: dict[str, str] = {
    "core": """
        to_string 1 String, to_int 1, to_float 1, to_json 1 String, from_json 1, type_of 1 String,
        is_type 0 Bool, is_a 0 Bool""",
    "numbers": """
        abs 1, round 1 Int, floor 1 Int, ceil 1 Int, sqrt 1 Float, log 1 Float, ln 1 Float,
        log10 1 Float, exp 1 Float, pow 0 Float, min 1, max 1, clamp 0, idiv 0 Int""",
    "bits": """
        band 2 Int, bor 2 Int, bxor 2 Int, bnot 1 Int, shl 2 Int, shr 2 Int, bit_test 2 Int,
        bit_set 2 Int, bit_clr 2 Int, bit_next 2 Int, bit_len 1 Int, gcd 2 Int, sqrt_int 1 Int,
        pow_mod 3 Int""",
    "strings": """
        len 1 Int, concat 0, split 0 List, replace 0 String, contains 0 Bool, starts_with 0 Bool,
        ends_with 0 Bool, lowercase 1 String, uppercase 1 String, trim 1 String, index_of 0 Int,
        substring 0, join 0, escape_html 0 String, str_len 1 Int, str_at 2 Int, str_eq 2 Bool""",
    "lists": """
        list 0 List, push 0 List, nth 0, range 0 List, reverse 1 List, sort 1 List,
        flatten 1 List, zip 0 List, enumerate 1 List, distinct 1 List, top 0, bottom 0""",
    "maps": "map 0, with 0 Map, without 0 Map, merge 0",
    "queries": """
        filter_by 0 List, sort_by 0 List, group_by 0 Map, agg 0 List, sum_by 0, avg_by 0, min_by 0,
        max_by 0, count_by 0 Int, pluck 0 List, select 0 List, inner_join 0 List,
        left_join 0 List""",
    "time": "format_date 0 String",
    "text in bulk": "word_count 0 Map, par_word_count 0 Map",
    "responses": "response 0 Map, html 0 Map, redirect 0 Map, sse 0 Map",
    "templates": "render 0 String, render_each 0 String",
}

_EFFECTS: dict[tuple[str, str], str] = {
    ("core", "print"): "print 0 Unit",
    ("time", "clock"): "now 0 Int, now_ms 0 Int, today 0 String",
    ("randomness", "random"): "random 0",
    ("files", "file"): """
        read_file 0, write_file 0, read_csv 0, write_csv 0, read_files 0 List,
        par_read_files 0 List""",
    ("templates", "file"): "load_template 0 String, load 0 String, include 0 String",
    ("state machines", "context"): """
        transition 0 Map, get_status 0 String, valid_transitions 0 List""",
    ("core", "context"): "next_id 0 Int",
    ("events", "context"): "publish 0 Unit, delegate 0",
    ("time", "async"): "sleep 0 Unit",
    ("HTTP client", "async"): "http_get 0, http_post 0",
    ("events", "async"): "link 0 Map, subscribe 0 Map, ws_connect 0 Map, ws_send 0 Unit",
}

_LAMBDA_ONLY = "filter 0 List, find 0, any 0 Bool, all 0 Bool, count 0 Int, reduce 0"

_MODEL = """
    think, think_json, tokens_used, tokens_remaining, set_budget, approve, trace, clear_trace,
    clear_context, remember, recall"""

_MATRICES = """
    mat, rows, cols, zeros, ones, diag, eye, matrix, to_sampled, drop_sampled, sample_row,
    importance_sample_rows, svd_lowrank, regress_sgd, clean_covariance, quantile, var_historical,
    expected_shortfall_historical, var_gaussian, impact_sqrt"""

_NATIVE = """
    sin 1 Float, cos 1 Float,
    buffer 1, buffer_f 1, buf_get 2 Int, buf_set 3 Unit, buf_get_f 2 Float,
    buf_set_f 3 Unit, hashmap 0, hm_get 2 Int, hm_set 3 Unit, hm_inc 2 Unit, hm_has 2 Int,
    hm_len 1 Int, strbuf 0, sb_push 2 Unit, sb_push_int 2 Unit, sb_push_char 2 Unit, sb_len 1 Int,
    sb_finish 1 String, regex_count 2 Int, regex_match 2 Int, regex_replace 3 String,
    read_stdin 0 String, write_str 1 Unit, fold 0"""

# Without pipes (builtins §1.3): these four are looked up before everything else, in plain calls.
AFTER_PIPE_EXCLUDED = frozenset({"link", "subscribe", "ws_send"})


def _rows(table: str) -> Iterable[tuple[str, int, str | None]]:
    for row in table.split(","):
        name, *rest = row.split()
        least = int(rest[0]) if rest else 0
        yield name, least, rest[1] if len(rest) > 1 else None


def _catalogue() -> Iterable[Builtin]:
    for family, table in _PURE.items():
        for name, least, result in _rows(table):
            yield Builtin(name, least, result=result, family=family)
    for (family, effect), table in _EFFECTS.items():
        for name, least, result in _rows(table):
            pipe = name not in AFTER_PIPE_EXCLUDED
            yield Builtin(name, least, effect, result, family, pipe=pipe)
    for name, least, result in _rows(_LAMBDA_ONLY):
        yield Builtin(name, least, result=result, family="higher order", lambda_only=True)
    for family, table in ((MODEL_CALLS, _MODEL), (LINEAR_ALGEBRA, _MATRICES)):
        for name, _, _ in _rows(table):
            yield Builtin(name, family=family, supported=False)


BUILTINS: dict[str, Builtin] = {b.name: b for b in _catalogue()}
"""Every builtin of interpreted handlers, by its Soma name."""

NATIVE: dict[str, Builtin] = {
    name: Builtin(name, least, result=result, family="native", native_only=True)
    for name, least, result in _rows(_NATIVE)
}
"""The names that exist only inside `[native]` handlers (builtins §20)."""

_NATIVE_SHARED = """
    sqrt log exp pow abs min max random len nth range floor ceil round map filter reduce to_float
    to_int to_string band bor bxor bnot shl shr bit_test bit_set bit_clr bit_next bit_len gcd
    sqrt_int pow_mod str_len str_at str_eq read_file"""

NATIVE_SHARED: frozenset[str] = frozenset(_NATIVE_SHARED.split())
"""Ordinary builtins that `[native]` handlers may call, with the native meaning (builtins §20)."""

HIGHER_ORDER: frozenset[str] = frozenset(
    {"map"} | {b.name for b in BUILTINS.values() if b.lambda_only}
)

IRREVOCABLE: frozenset[str] = frozenset(
    {"http_post", "write_file", "write_csv", "ws_send", "subscribe"}
)
"""What these do outside of the program stays done when the transaction is not committed, and is
done again when it runs again. The rest prints, only asks (`http_get`, `read_file`), makes what is
there once however often (`link`, `ws_connect`), or waits for the commit (`publish`, `emit`)."""

_SUGGESTIONS = """
    print len push map list filter sort_by filter_by to_string to_int to_float from_json to_json
    reverse range random abs round floor ceil min max clamp pow sqrt contains starts_with ends_with
    replace split trim join uppercase lowercase substring index_of concat type_of now now_ms
    http_get http_post html response redirect next_id transition get_status valid_transitions
    is_type top bottom agg group_by distinct describe flatten zip sum_by avg_by min_by max_by
    count_by escape_html find any all count sse link ws_connect ws_send subscribe keys values sort
    sleep nth read_file write_file read_csv"""

SUGGESTIONS: tuple[str, ...] = tuple(_SUGGESTIONS.split())
"""Candidates for "did you mean", in the order of builtins §1.4; handler names come before them."""


def suggest(name: str, handlers: Iterable[str] = ()) -> str | None:
    """The "did you mean" candidate of builtins §1.4: nearest within 3 edits, else a prefix."""
    candidates = [*handlers, *SUGGESTIONS]
    distances = [(_distance(name.encode(), c.encode()), i) for i, c in enumerate(candidates)]
    near = min((d for d in distances if d[0] <= 3), default=None)
    if near is not None:
        return candidates[near[1]]
    return next((c for c in candidates if name.startswith(c) or c.startswith(name)), None)


def _distance(a: bytes, b: bytes) -> int:
    """The Levenshtein distance over bytes."""
    if abs(len(a) - len(b)) > 3:
        return 4  # all that matters is that it is too far
    previous = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        current = [i]
        for j, y in enumerate(b, 1):
            change = previous[j - 1] + (x != y)
            current.append(min(previous[j] + 1, current[-1] + 1, change))
        previous = current
    return previous[-1]
