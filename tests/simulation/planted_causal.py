"""Bugs of causal memory, to be planted in the production code."""

from __future__ import annotations

from planting import RING, Patch, mutant

from somart.cluster.causal import Causality
from somart.cluster.evidence import Evidence
from somart.cluster.keeping import Keeping
from somart.cluster.messages import Batch
from somart.cluster.origins import Seen
from somart.cluster.strays import Strays


@mutant("causal")
def ignores_dependencies(patch: Patch) -> None:
    """Batches are applied as they come from each origin."""
    patch.setattr(Causality, "depends", lambda self: {})


@mutant("causal")
def tokens_are_empty(patch: Patch) -> None:
    """A client's token says nothing, so no node waits."""
    patch.setattr(Causality, "wait", lambda self, vector, done, most_ms=0: done(True))


@mutant("causal", quick=False)
def claims_what_it_has_not(patch: Patch) -> None:
    """A vector counts as covered when any of its entries is."""
    patch.setattr(
        Seen,
        "covers",
        lambda self, other: any(self.get(o) >= n for o, n in other.items()) or not other,
    )


@mutant("walls", **RING)
def counts_as_seen_what_anybody_has_seen(patch: Patch) -> None:
    """Also of segments that those do not hold who have seen it (found by this simulator)."""
    patch.setattr(Evidence, "_vouched", lambda self, accounts, lost: self._everything(lost))


@mutant("walls", **RING)
def vouches_for_what_it_has_dropped(patch: Patch) -> None:
    """A node says that it keeps all that it has seen."""
    patch.setattr(Keeping, "_drops", lambda self, origin, number: None)


@mutant("walls", **RING)
def keeps_nothing_for_others(patch: Patch) -> None:
    """What a node has seen of segments that it does not hold is dropped at once."""

    def keep(self: Keeping, batch: Batch) -> None:
        foreign = [w for w in batch.writes if not self._context.relevant(self._context.me, [w])]
        for write in foreign:
            self.drop(write.table, [write.key])

    patch.setattr(Keeping, "keep", keep)


@mutant("ring", quick=False, **RING)
def drops_what_nobody_else_has(patch: Patch) -> None:
    """Who was taken out of the ring does not ask after what others hold now (found by this
    simulator)."""

    def begin(self: Strays) -> None:
        for table in self._context.replica.tables:
            for segment in self._aside.segments(table):
                self._aside.discard(table, segment)

    patch.setattr(Strays, "begin", begin)
