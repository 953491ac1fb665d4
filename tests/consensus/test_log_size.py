"""The bytes that the log says it has are those of its entries, whatever happens to it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from somart.consensus.log import Log
from somart.consensus.messages import Configuration, Entry

STEPS = st.lists(
    st.tuples(st.sampled_from(["append", "truncate", "compact", "reset"]), st.integers(0, 20))
)


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_the_size_is_kept_up(steps: list[tuple[str, int]]) -> None:
    log = Log()
    for step, number in steps:
        if step == "append":
            log.append((Entry(log.last + 1, 1, "data", b"x" * number),))
        elif step == "truncate" and log.entries:
            log.truncate(log.first + number % len(log.entries))
        elif step == "compact" and log.entries:
            log.compact(log.first + number % len(log.entries))
        elif step == "reset" and number == 0:
            log.reset(log.last + 5, 2, Configuration(("a",)))
        assert log.size == sum(len(entry.data) for entry in log.entries)
