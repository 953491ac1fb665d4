"""What a leader knows of another member's log, and how much it may send (flow control)."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Literal

State = Literal["probe", "replicate", "snapshot"]


@dataclass(slots=True)
class Progress:
    """`match`: agreed up to here. `next`: the next index to send. In `probe` one message is in
    flight at a time until the logs agree; in `replicate` up to a window; in `snapshot` chunks."""

    next: int
    match: int = 0
    state: State = "probe"
    waiting: bool = False
    active: bool = True
    """Heard from since the last check of the quorum."""
    told: int = 0
    """The last commit index that it was sent."""
    round: int = 0
    """The last read round that it has answered."""
    inflight: deque[int] = field(default_factory=deque)
    """The last indexes of the messages on their way."""
    snapshot_index: int = 0
    offset: int = 0
    """Where the chunk begins that was sent last."""
    stalled_at: tuple[int, int] = (0, -1)
    """The chunk that was on its way when it was last heard of."""

    def probe(self) -> None:
        """Back to one message at a time."""
        self.state, self.waiting = "probe", False
        self.next = self.match + 1
        self.inflight.clear()

    def replicate(self) -> None:
        """The logs agree: send as much as the window allows."""
        self.state, self.waiting = "replicate", False
        self.next = self.match + 1
        self.inflight.clear()

    def send_snapshot(self, index: int) -> None:
        self.state, self.waiting = "snapshot", False
        self.snapshot_index, self.offset = index, 0
        self.inflight.clear()

    def paused(self, window: int) -> bool:
        """Whether nothing may be sent now."""
        if self.state == "replicate":
            return len(self.inflight) >= window
        return self.waiting

    def sent(self, last: int) -> None:
        """Entries up to `last` are on their way."""
        if self.state == "replicate":
            self.next = last + 1
            self.inflight.append(last)
        else:
            self.waiting = True

    def nudged(self, window: int) -> None:
        """It lives and lacks something: what was sent may be lost, so one more may go."""
        if self.state == "replicate":
            if len(self.inflight) >= window:
                self.inflight.popleft()
        elif self.state == "probe":
            self.waiting = False
        else:
            chunk = self.snapshot_index, self.offset
            self.waiting = chunk != self.stalled_at  # it may still be under way the first time
            self.stalled_at = chunk

    def received(self, index: int, offset: int) -> bool:
        """It wants the byte at `offset` of a snapshot next: whether that is news. Each repeated
        answer would else begin one more stream of chunks."""
        if self.state != "snapshot" or index != self.snapshot_index:
            return False
        if self.waiting and offset == self.offset:
            return False
        self.offset, self.waiting = offset, False
        return True

    def agreed(self, match: int) -> bool:
        """An answer: the logs agree up to `match`. Whether that is news."""
        news = match > self.match
        self.match = max(self.match, match)
        self.next = max(self.next, self.match + 1)
        while self.inflight and self.inflight[0] <= match:
            self.inflight.popleft()
        self.waiting = False
        return news
