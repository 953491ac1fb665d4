"""The diagnostics on memory properties, structure, scale and budgets."""

from __future__ import annotations

from ..frontend.codes import CodeInfo

CODES: tuple[CodeInfo, ...] = (
    CodeInfo(
        "W101",
        "Unknown property",
        "A slot carries a property that neither the language nor a `cell property` defines. It has"
        " no effect.",
        "cell A { memory { s: Map<String, Int> [persistant] } }",
        "cell A { memory { s: Map<String, Int> [persistent] } }",
    ),
    CodeInfo(
        "E101",
        "Contradictory properties",
        "Two properties of one slot exclude each other: one is named by the other as a"
        " contradiction, or both belong to one mutex group (durability, consistency, mutability).",
        "cell A { memory { s: Map<String, Int> [persistent, ephemeral] } }",
        "cell A { memory { s: Map<String, Int> [persistent] } }",
    ),
    CodeInfo(
        "E102",
        "An implied property contradicts",
        "A property brings another with it (`immutable` brings `consistent`, `retain` and"
        " `replicated` bring `persistent`), and that one excludes something written on the slot.",
        "cell A { memory { s: Map<String, Int> [ephemeral, replicated(3)] } }",
        "cell A { memory { s: Map<String, Int> [persistent, replicated(3)] } }",
    ),
    CodeInfo(
        "N102",
        "A property was added",
        "A property implies another that is not written. It is added; writing it makes the slot's"
        " behaviour visible.",
        "cell A { memory { s: Map<String, Int> [immutable] } }",
        "cell A { memory { s: Map<String, Int> [immutable, consistent] } }",
    ),
    CodeInfo(
        "E103",
        "A required property is missing",
        "A property makes no sense without another: `evict` says which entry goes when a slot is"
        " full, and only `capacity` says when that is.",
        "cell A { memory { s: Map<String, Int> [evict(lru)] } }",
        "cell A { memory { s: Map<String, Int> [evict(lru), capacity(100)] } }",
    ),
    CodeInfo(
        "E104",
        "Entries expire before they may",
        "`ttl` deletes an entry after a time, `retain` promises to keep it for a time. The first"
        " must not be shorter than the second.",
        "cell A { memory { s: Map<String, Int> [persistent, ttl(30d), retain(7years)] } }",
        "cell A { memory { s: Map<String, Int> [persistent, ttl(30d), retain(7d)] } }",
    ),
    CodeInfo(
        "E110",
        "Duplicate slot",
        "A cell declares two slots of one name.",
        "cell A { memory { s: Map<String, Int> s: List<Int> } }",
        "cell A { memory { s: Map<String, Int> t: List<Int> } }",
    ),
    CodeInfo(
        "E111",
        "Duplicate signal",
        "A face declares a signal or an await of one name twice.",
        "cell A { face { signal f(x: Int) signal f(x: Int) } on f(x: Int) { x } }",
        "cell A { face { signal f(x: Int) } on f(x: Int) { x } }",
    ),
    CodeInfo(
        "E112",
        "Duplicate cell",
        "Two cells of one `interior` have the same name.",
        "cell A { interior { cell B { } cell B { } } }",
        "cell A { interior { cell B { } cell C { } } }",
    ),
    CodeInfo(
        "E160",
        "The shard is no slot",
        "`scale { shard: s }` names the slot whose keys are spread over the nodes; it must be a"
        " slot of the same cell.",
        "cell A { memory { jobs: Map<String, Int> [persistent] }"
        " scale { replicas: 3 shard: job } }",
        "cell A { memory { jobs: Map<String, Int> [persistent] }"
        " scale { replicas: 3 shard: jobs } }",
    ),
    CodeInfo(
        "E161",
        "An ephemeral shard cannot be strong",
        "`consistency: strong` promises that no acknowledged write is lost; an `ephemeral` slot"
        " forgets everything at a restart.",
        "cell A { memory { s: Map<String, Int> [ephemeral] }"
        " scale { replicas: 3 shard: s consistency: strong } }",
        "cell A { memory { s: Map<String, Int> [persistent] }"
        " scale { replicas: 3 shard: s consistency: strong } }",
    ),
    CodeInfo(
        "E162",
        "A local shard",
        "A `local` slot stays on its node, a shard is spread over all of them.",
        "cell A { memory { s: Map<String, Int> [local] }"
        " scale { replicas: 3 shard: s consistency: eventual } }",
        "cell A { memory { s: Map<String, Int> [persistent] }"
        " scale { replicas: 3 shard: s consistency: eventual } }",
    ),
    CodeInfo(
        "E163",
        "A shard on one node",
        "With `replicas: 1` there is nothing to spread a shard over.",
        "cell A { memory { s: Map<String, Int> [persistent] } scale { replicas: 1 shard: s } }",
        "cell A { memory { s: Map<String, Int> [persistent] } scale { replicas: 3 shard: s } }",
    ),
    CodeInfo(
        "W164",
        "A consistent slot under eventual consistency",
        "The shard's slot is written `consistent`, but the scale lets nodes agree later: a read"
        " just after a write may give the old value.",
        "cell A { memory { s: Map<String, Int> [persistent, consistent] }"
        " scale { replicas: 3 shard: s consistency: eventual } }",
        "cell A { memory { s: Map<String, Int> [persistent, consistent] }"
        " scale { replicas: 3 shard: s consistency: strong } }",
    ),
    CodeInfo(
        "E165",
        "Not a memory size",
        "The memory of a scale is a whole number with Ki, Mi, Gi, Ti (powers of 1024), K, M, G, T"
        " (powers of 1000) or B.",
        'cell A { scale { replicas: 2 memory: "8GB" } }',
        'cell A { scale { replicas: 2 memory: "8Gi" } }',
    ),
    CodeInfo(
        "E195",
        "The memory budget is exceeded",
        "Slots at their capacity, the largest handler, the machines and the runtime together need"
        " more than the scale declares.",
        'cell A { memory { s: Map<String, Int> } scale { replicas: 2 memory: "32Mi" } }',
        "cell A { memory { s: Map<String, Int> [capacity(100)] }"
        ' scale { replicas: 2 memory: "32Mi" } }',
    ),
    CodeInfo(
        "W196",
        "The memory budget cannot be proven",
        "A handler calls a builtin whose result can be of any size, so that only a part of the"
        " peak is known.",
        'cell A { scale { replicas: 2 memory: "64Mi" } on f(x: Map) { to_json(x) } }',
        'cell A { scale { replicas: 2 memory: "64Mi" } on f(x: Map) { x } }',
    ),
    CodeInfo(
        "N197",
        "The memory budget is proven",
        "The peak of the cell stays below what its scale declares. This is good news.",
        'cell A { scale { replicas: 2 memory: "64Mi" } on f(x: Int) { x } }',
        "cell A { scale { replicas: 2 } on f(x: Int) { x } }",
    ),
)
