"""The diagnostics on faces, interiors, promises, sum types, determinism and cost."""

from __future__ import annotations

from ..frontend.codes import CodeInfo

CODES: tuple[CodeInfo, ...] = (
    CodeInfo(
        "E120",
        "A declared signal has no handler",
        "A face says that the cell answers a signal, or an agent's face offers a tool, and no"
        " handler of that name exists.",
        "cell A { face { signal f(x: Int) } }",
        "cell A { face { signal f(x: Int) } on f(x: Int) { x } }",
    ),
    CodeInfo(
        "E121",
        "Handler and face differ",
        "The handler of a declared signal takes another number of parameters than the face says.",
        "cell A { face { signal f(x: Int) } on f(x: Int, y: Int) { x + y } }",
        "cell A { face { signal f(x: Int, y: Int) } on f(x: Int, y: Int) { x + y } }",
    ),
    CodeInfo(
        "W122",
        "An awaited signal has no handler",
        "A face awaits a signal that no handler of the cell receives. On a bus it may still"
        " arrive.",
        "cell A { face { await f(x: Int) } }",
        "cell A { face { await f(x: Int) } on f(x: Int) { x } }",
    ),
    CodeInfo(
        "E130",
        "Nobody emits what is awaited",
        "Inside an interior, every `await` needs a cell whose face declares the signal.",
        "cell P { interior { cell A { face { await f(x: Int) } on g() { 1 } }"
        " cell B { face { signal g() } on g() { 1 } } } }",
        "cell P { interior { cell A { face { await f(x: Int) } on f(x: Int) { x } }"
        " cell B { face { signal f(x: Int) } on f(x: Int) { x } } } }",
    ),
    CodeInfo(
        "E131",
        "Nobody emits what is handled",
        "Inside an interior, every handler needs a cell whose face declares the signal.",
        "cell P { interior { cell A { on f(x: Int) { x } } } }",
        "cell P { interior { cell A { face { signal f(x: Int) } on f(x: Int) { x } } } }",
    ),
    CodeInfo(
        "E132",
        "Signal types differ",
        "Inside an interior, the parameters of a signal must be the same, type by type, where it is"
        " emitted and where it is received.",
        "cell P { interior { cell A { face { signal f(x: Int) } on f(x: Int) { x } }"
        " cell B { on f(x: String) { x } } } }",
        "cell P { interior { cell A { face { signal f(x: Int) } on f(x: Int) { x } }"
        " cell B { on f(x: Int) { x } } } }",
    ),
    CodeInfo(
        "W133",
        "A signal is lost",
        "A cell of an interior emits a signal that no cell beside it handles or awaits.",
        "cell P { interior { cell A { face { signal f(x: Int) } } } }",
        "cell P { interior { cell A { face { signal f(x: Int) } on f(x: Int) { x } } } }",
    ),
    CodeInfo(
        "E140",
        "A promise is broken",
        "A structural promise of the face (`all_persistent`, `has_auth` …) does not hold for what"
        " the cell declares.",
        "cell A { face { promise all_persistent } memory { s: Map<String, Int> [ephemeral] } }",
        "cell A { face { promise all_persistent } memory { s: Map<String, Int> [persistent] } }",
    ),
    CodeInfo(
        "W141",
        "A promise in words",
        "A promise that is a text documents an intention; nothing tests it.",
        'cell A { face { promise "never loses an order" } }',
        "cell A { face { promise has_face } }",
    ),
    CodeInfo(
        "A142",
        "Unknown structural promise",
        "A promise names something that is no structural promise, so that it holds silently.",
        "cell A { face { promise all_persistant } }",
        "cell A { face { promise all_persistent } }",
    ),
    CodeInfo(
        "E150",
        "A checker failed",
        "A `cell checker` of the program demands something of every cell that this one lacks.",
        'cell checker secure { face { promise "cells need auth" }'
        " rules { check { require has_auth else NoAuth } } } cell A { }",
        'cell checker secure { face { promise "cells need auth" }'
        " rules { check { require has_auth else NoAuth } } }"
        " cell A { face { given auth: Token } }",
    ),
    CodeInfo(
        "W170",
        "An agent without lifecycle",
        "An agent cell without a state machine can do anything at any time; a `state` section makes"
        " its behaviour verifiable.",
        "cell agent Helper { on run() { 1 } }",
        "cell agent Helper { state work { initial: idle idle -> busy busy -> idle }"
        " on run() { 1 } }",
    ),
    CodeInfo(
        "E180",
        "A variant of two types",
        "Variants are known by their bare names in the whole program; two sum types declare the"
        " same one.",
        "cell type A { variants { On Off } } cell type B { variants { On } } cell M { }",
        "cell type A { variants { On Off } } cell type B { variants { Lit } } cell M { }",
    ),
    CodeInfo(
        "E181",
        "A match forgets variants",
        "All arms of a match are variants of one type, and some variants have no arm: for them the"
        " match would silently give `()`.",
        "cell type T { variants { Red Green } }" " cell A { on f(v: T) { match v { Red -> 1 } } }",
        "cell type T { variants { Red Green } }"
        " cell A { on f(v: T) { match v { Red -> 1 Green -> 2 } } }",
    ),
    CodeInfo(
        "E182",
        "Unknown type of a machine",
        "`state m: T` ties the states of a machine to the variants of a sum type; there is no such"
        " type.",
        "cell A { state m: T { initial: Red Red -> Green } }",
        "cell type T { variants { Red Green } }"
        " cell A { state m: T { initial: Red Red -> Green } }",
    ),
    CodeInfo(
        "E183",
        "A state outside its type",
        "A machine tied to a sum type uses a state that is no variant of it, or a handler"
        " transitions to one.",
        "cell type T { variants { Red Green } }"
        " cell A { state m: T { initial: Red Red -> Blue } }",
        "cell type T { variants { Red Green } }"
        " cell A { state m: T { initial: Red Red -> Green } }",
    ),
    CodeInfo(
        "E190",
        "A deterministic handler is not",
        "A handler marked [deterministic] gives the same result for the same arguments; it may not"
        " read clocks, randomness, models, networks or files, call other cells, or write memory.",
        "cell A { on f() [deterministic] { now() } }",
        "cell A { on f(at: Int) [deterministic] { at + 1 } }",
    ),
    CodeInfo(
        "E191",
        "The model lacks a capability",
        "A think() call requires a capability that the configured model does not advertise in"
        " soma.toml.",
        "cell agent A [model: small] { state m { initial: a a -> b }"
        ' on f() { think("look", "", map("requires", list("vision"))) } }',
        "cell agent A [model: small] { state m { initial: a a -> b }" ' on f() { think("look") } }',
    ),
    CodeInfo(
        "E192",
        "A cost is exceeded",
        "The bounds of the think() and http calls of one handler add up to more than the cost"
        " section declares. Loops count as often as [loop_bound(N)] says.",
        'cell A { cost { latency: 5s } on f() { http_get("http://a.example/") } }',
        'cell A { cost { latency: 30s } on f() { http_get("http://a.example/") } }',
    ),
    CodeInfo(
        "W193",
        "A cost cannot be proven",
        "A think() call without `max_tokens`, or a while loop without [loop_bound(N)], has no"
        " bound.",
        'cell A { cost { tokens: 500 } on f() { think("hello") } }',
        'cell A { cost { tokens: 500 } on f() { think("hello", "", map("max_tokens", 100)) } }',
    ),
    CodeInfo(
        "N194",
        "A cost is proven",
        "No handler can use more than the cost section declares. This is good news.",
        "cell A { cost { tokens: 500 } on f() { 1 } }",
        "cell A { on f() { 1 } }",
    ),
)
