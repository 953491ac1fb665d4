"""Every limit of the runtime core, each with its reason."""

from __future__ import annotations

OPTIMISTIC_RUNS = 5
"""Runs of an interleaved handler before it runs alone: enough for bursts, too few to starve."""

COMMIT_RUNS = 100
"""Times that a handler runs because other nodes were first; then its client may try again."""

CONFLICT_PAUSE_SECONDS = 0.05
"""The longest pause before such a run: some rounds of consensus, and little of a client's time."""

NESTED_RUNS = 100
"""Runs of a handler on its caller's turn, which cannot run alone; somebody else has won each."""

EVENT_QUEUE = 256
"""Events that wait for one subscriber; a slower one is dropped, so that memory stays bounded."""

BATCH_TRANSACTIONS = 1024
"""Transactions in one group commit: bounds the time of one SQLite transaction."""

JOIN_TURNS = 4
"""Turns of the event loop for which a group that grows waits for more commits to join it."""

INLINE_COMMIT_SECONDS = 0.001
"""Commits run on the event loop while they are faster than this, which costs less than a thread
and its fight for the interpreter's lock; else in a thread."""

INLINE_PROBE = 32
"""Every so many groups, one may take ten times as long on the event loop, to see whether commits
are quick again: a rare short pause, against staying slow for ever."""

VERSIONS_PER_SLOT = 10_000
"""Previous values kept for a [versioned] slot; the oldest go first."""

VERSIONS_TRIMMED = 100
"""In a cluster so many previous values go at once, as each time all keys are looked at."""

COLLECT_AFTER = (10_000, 20, 20)
"""A server's thresholds for the collection of cyclic garbage (objects, collections, collections):
more than requests under way hold at a time; all objects are looked at once in four million."""

FAILED_RANGES = 64
"""Failed commits remembered for transactions that had read their effects."""

LOCK_WAIT_MS = 2_000
"""How long to wait for another process to leave the data directory: covers a quick restart."""

SWEEP_SECONDS = 30.0
"""Pause between two sweeps of expired entries; reads never see them in any case."""

PROPERTY_SAMPLES = 1_000_000
"""Samples of one property test: a mistyped count must not run for days."""

STORED_DEPTH = 200
"""Nesting of a value in a persistent slot: what is written can be read with any stack."""

DELEGATE_PREFIXES = 512
"""Repetitions of `delegate error: ` in a message: endless delegation must not grow it for ever."""
