"""The diagnostics on names, calls, `[native]` handlers and the manifest, and the advice."""

from __future__ import annotations

from ..frontend.codes import CodeInfo

CODES: tuple[CodeInfo, ...] = (
    CodeInfo(
        "E201",
        "Undefined variable",
        "A name is bound nowhere in the handler: it is no parameter, no `let`, no loop or pattern"
        " variable and no unit variant. Cells, slots, handlers and builtins are no values.",
        "cell A { on f(total: Int) { totl + 1 } }",
        "cell A { on f(total: Int) { total + 1 } }",
    ),
    CodeInfo(
        "E202",
        "Undefined function",
        "A call names neither a builtin nor a handler of any cell nor a variable.",
        "cell A { on f(xs: List) { lenght(xs) } }",
        "cell A { on f(xs: List) { len(xs) } }",
    ),
    CodeInfo(
        "E203",
        "Wrong number of arguments",
        "A handler or an operation of a slot is called with another number of arguments than it"
        " takes. There are no default values.",
        "cell A { on add(a: Int, b: Int) { a + b } on f() { add(1) } }",
        "cell A { on add(a: Int, b: Int) { a + b } on f() { add(1, 2) } }",
    ),
    CodeInfo(
        "E204",
        "Unknown operation of a slot",
        "Slots know `get set delete has append len keys values list backend` and their other"
        " names; nothing else.",
        'cell A { memory { s: Map<String, Int> } on f() { s.gett("a") } }',
        'cell A { memory { s: Map<String, Int> } on f() { s.get("a") } }',
    ),
    CodeInfo(
        "E205",
        "A variant is built wrongly",
        "A variant with payload needs exactly its payload: `B(1, 2)` for a tuple, `C { x: 1 }` with"
        " all fields for a struct.",
        "cell type T { variants { None_ Some(Int) } } cell A { on f() { Some(1, 2) } }",
        "cell type T { variants { None_ Some(Int) } } cell A { on f() { Some(1) } }",
    ),
    CodeInfo(
        "E206",
        "The right of a pipe is no call",
        "A pipe hands its left side to a function: the right side is `name` or `name(…)`.",
        "cell A { on f(x: Int) { x |> (y => y + 1) } }",
        "cell A { on inc(y: Int) { y + 1 } on f(x: Int) { x |> inc } }",
    ),
    CodeInfo(
        "E207",
        "Delegating to nobody",
        'delegate("Cell", "handler", …) names a cell or a handler that the program does not have.',
        'cell A { on f() { delegate("B", "go") } } cell B { on run() { 1 } }',
        'cell A { on f() { delegate("B", "run") } } cell B { on run() { 1 } }',
    ),
    CodeInfo(
        "E210",
        "Outside of a loop",
        "`break` and `continue` act on the innermost loop, and there is none.",
        "cell A { on f() { break } }",
        "cell A { on f() { while true { break } } }",
    ),
    CodeInfo(
        "E220",
        "A native handler does more than numbers",
        "A handler marked [native] may use arithmetic, comparisons, logic, variables, loops over"
        " `range`, other native handlers of its cell and the native builtins.",
        'cell A { on f(n: Int) [native] { print("n") } }',
        "cell A { on f(n: Int) [native] { n * 2 } }",
    ),
    CodeInfo(
        "E270",
        "The manifest cannot be read",
        "soma.toml beside the program is not valid TOML, not UTF-8, too large or not readable.",
        "",
        "",
    ),
    CodeInfo(
        "E271",
        "A value of a wrong type in the manifest",
        "A key of soma.toml has a value of another type than it needs.",
        "",
        "",
    ),
    CodeInfo(
        "W271",
        "The package has no name",
        "soma.toml has no `name` under [package]; the name of the source file stands in.",
        "",
        "",
    ),
    CodeInfo(
        "W272",
        "Unknown key in the manifest",
        "soma.toml has a section or a key that nothing reads.",
        "",
        "",
    ),
    CodeInfo(
        "E280",
        "A property that cannot be read",
        "A formula under `ctl`, or an arrow under `fair`, in [verify] of soma.toml has a mistake."
        " Formulas use EX EF EG AX AF AG, E[a U b], A[a U b], ! & | -> and names of states; arrows"
        ' look like "running -> completed".',
        "",
        "",
    ),
    CodeInfo(
        "E281",
        "Unknown key under [verify]",
        "A misspelt key would silently prove nothing. The keys are deadlock_free, eventually,"
        " never, always, after, final, fair and ctl; any other section is named after a state"
        " machine of the program.",
        "",
        "",
    ),
    CodeInfo(
        "W282",
        "Unknown state in a property",
        "A property of [verify] names a state that the state machine does not have. With several"
        " machines, [verify.MACHINE] speaks of one of them.",
        "",
        "",
    ),
    CodeInfo(
        "W283",
        "A property that says nothing",
        "What stands before `->`, or the state that an `after` begins with, is never reached, so"
        " that the property holds whatever it demands.",
        "",
        "",
    ),
    CodeInfo(
        "N284",
        "A doubtful transition",
        "The target of a `transition` is computed, is no state of the machine, or no arrow leads to"
        " it from where the handler says that the instance is. The runtime refuses what no arrow"
        " allows.",
        "",
        "",
    ),
    CodeInfo(
        "A301",
        "A hole stays literal text",
        "A hole in a string uses a name that is unknown where the string stands. The text stays as"
        " it is, which is what `render` needs, and a misspelt variable does not.",
        'cell A { on f(name: String) { "Hello {nmae}" } }',
        'cell A { on f(name: String) { "Hello {name}" } }',
    ),
    CodeInfo(
        "A302",
        "A hole is no expression",
        "The text between braces cannot be parsed as an expression. It stays as it is.",
        'cell A { on f(n: Int) { "{n +}" } }',
        'cell A { on f(n: Int) { "{n + 1}" } }',
    ),
    CodeInfo(
        "A303",
        "This division truncates",
        "In a statement of the shape `x = x / e` with Ints, the quotient is truncated, unlike"
        " everywhere else, where 7 / 2 is 3.5. `idiv` says what is meant.",
        "cell A { on f(n: Int) { let x = n x = x / 2 x } }",
        "cell A { on f(n: Int) { let x = n x = idiv(x, 2) x } }",
    ),
    CodeInfo(
        "A304",
        "A handler has a builtin's name",
        "Calls in Soma code reach the builtin; the handler is reached from outside and by"
        " `delegate` only.",
        "cell A { on list() { 1 } }",
        "cell A { on orders() { 1 } }",
    ),
    CodeInfo(
        "A305",
        "This family of builtins is left out",
        "Model calls, linear algebra and risk functions parse and check; a call is a run-time error"
        " that names the family.",
        'cell A { on f() { think("hello") } }',
        "cell A { on f() { 1 } }",
    ),
    CodeInfo(
        "A306",
        "A state that no machine has",
        "`transition` is called with a literal target that is a state of no machine: it is always"
        " refused.",
        'cell A { state m { initial: a a -> b } on f() { transition("x", "c") } }',
        'cell A { state m { initial: a a -> b } on f() { transition("x", "b") } }',
    ),
    CodeInfo(
        "A307",
        "An invariant uses an unknown name",
        "An invariant sees the slots of its cell, `_slot_len`, `_slot_name` and `_key`.",
        "cell A { memory { s: Map<String, Int> invariant sise <= 3 } }",
        "cell A { memory { s: Map<String, Int> invariant s.len <= 3 } }",
    ),
    CodeInfo(
        "A308",
        "A pattern of an unknown variant",
        "A pattern names a variant that no `cell type` declares; it never matches.",
        "cell A { on f(v: T) { match v { Redd -> 1 _ -> 2 } } }",
        "cell type T { variants { Red } } cell A { on f(v: T) { match v { Red -> 1 _ -> 2 } } }",
    ),
    CodeInfo(
        "A309",
        "Duplicate handler",
        "A cell defines two handlers of one name: the last one wins.",
        "cell A { on f() { 1 } on f() { 2 } }",
        "cell A { on f() { 1 } on g() { 2 } }",
    ),
    CodeInfo(
        "A310",
        "Pairs that are not stored",
        "A statement of the shape `m = m |> with(k, v, …)` stores the first pair only, as it always"
        " has. Every other form of `with` stores them all.",
        'cell A { on f(m: Map) { m = m |> with("a", 1, "b", 2) m } }',
        'cell A { on f(m: Map) { m = with(m, "a", 1, "b", 2) m } }',
    ),
    CodeInfo(
        "A311",
        "An outside effect before the commit",
        "A transaction on the memory of a `consistency: strong` cell runs again when another node"
        " was first. What it wrote is discarded; what it has sent or stored outside of the program"
        " (http_post, ws_send, subscribe, write_file, write_csv) stays, and is done again. http_get"
        " is taken to only read. Make the effect harmless to repeat: send along a key, made of the"
        " arguments, by which the receiver knows a repetition. Or do it after the commit: record"
        " it, let an `every` of a cell without `scale` take it into memory of its own, and another"
        " carry it out. What is emitted leaves after the commit anyway.",
        "cell Shop { memory { sold: Map<String, Int> [persistent] }"
        " scale { replicas: 3 consistency: strong }"
        ' on buy(id: String) { sold.set(id, 1) http_post("http://bank.example/", id) } }',
        "cell Shop { memory { sold: Map<String, Int> [persistent] wanted: Map<String, Int>"
        " [persistent] } scale { replicas: 3 consistency: strong }"
        " on buy(id: String) { sold.set(id, 1) wanted.set(id, 1) }"
        " on take() { let ids = wanted.keys for id in ids { wanted.delete(id) } ids } }"
        " cell Courier { memory { todo: Map<String, Int> [persistent] }"
        ' every 1s { for id in delegate("Shop", "take") { todo.set(id, 1) } }'
        ' every 1s { for id in todo.keys { http_post("http://bank.example/", id)'
        " todo.delete(id) } } }",
    ),
)
