"""The handshake without I/O: who gets in, who does not, and what each learns of the other."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import msgpack

from somart.cluster.frames import FrameReader, FrameWriter
from somart.cluster.handshake import (
    NONCE_BYTES,
    Handshake,
    HandshakeError,
    Hello,
    Judge,
    Opening,
)
from somart.cluster.identity import ITSELF, difference, unwelcome
from somart.cluster.messages import Handled

SECRET = b"a secret of the cluster"
ALICE = Hello("node", "alice", "i-alice", "10.0.0.1:8082", "10.0.0.1:8080", "c1")
BOB = Hello("node", "bob", "i-bob", "10.0.0.2:8082", "10.0.0.2:8080", "c1")


def anybody(_hello: Hello) -> None:
    """Everybody is welcome."""


def sides(
    of_dialler: bytes | None = SECRET,
    of_acceptor: bytes | None = SECRET,
    dialler_judges: Judge = anybody,
    acceptor_judges: Judge = anybody,
) -> tuple[Handshake, Handshake]:
    dialler = Handshake(ALICE, True, of_dialler, b"d" * NONCE_BYTES, dialler_judges)
    acceptor = Handshake(BOB, False, of_acceptor, b"a" * NONCE_BYTES, acceptor_judges)
    return dialler, acceptor


def shake(
    dialler: Handshake,
    acceptor: Handshake,
    tamper: Callable[[int, bytes], bytes] = lambda _number, body: body,
) -> list[bytes]:
    """All that is said, alternately, until both are done; `tamper` sits in between."""
    said: list[bytes] = []
    body, to, other = dialler.start(), acceptor, dialler
    while body is not None:
        said.append(body)
        body = to.receive(tamper(len(said) - 1, body))
        to, other = other, to
    return said


def refusal(act: Callable[[], object]) -> HandshakeError:
    with pytest.raises(HandshakeError) as caught:
        act()
    return caught.value


@pytest.mark.parametrize("secret", [SECRET, None])
def test_both_know_each_other_in_the_end(secret: bytes | None) -> None:
    dialler, acceptor = sides(secret, secret)
    said = shake(dialler, acceptor)
    assert len(said) == 4
    assert dialler.peer == BOB
    assert acceptor.peer == ALICE
    assert (dialler.keys is None) == (secret is None)


def test_keys_fit_crosswise_and_differ_between_sessions_and_directions() -> None:
    dialler, acceptor = sides()
    shake(dialler, acceptor)
    other = Handshake(ALICE, True, SECRET, b"e" * NONCE_BYTES, anybody)
    shake(other, sides()[1])
    assert dialler.keys is not None
    assert acceptor.keys is not None
    assert other.keys is not None
    assert dialler.keys.sending == acceptor.keys.receiving
    assert dialler.keys.receiving == acceptor.keys.sending
    assert len({*dialler.keys, *other.keys}) == 4
    reader = FrameReader(100)
    reader.begin(100, acceptor.keys.receiving)
    reader.feed(FrameWriter(100, dialler.keys.sending).frame(Handled(1)))
    assert reader.messages()[0][0] == Handled(1)


def test_a_stranger_learns_a_version_and_a_nonce() -> None:
    dialler, acceptor = sides(of_dialler=b"another secret")
    opening = dialler.start()
    assert opening is not None
    challenge = acceptor.receive(opening)
    assert challenge is not None
    error = refusal(lambda: acceptor.receive(dialler.receive(challenge) or b""))
    assert str(error) == "the other side does not know the cluster secret"
    assert error.reply is not None
    assert b"not authenticated" in error.reply
    for said in (challenge, error.reply):
        assert not any(word in said for word in (b"bob", b"10.0.0.2", b"c1"))
    assert acceptor.peer is None
    assert acceptor.keys is None


@pytest.mark.parametrize(
    ("of_dialler", "of_acceptor", "reason"),
    [
        (None, SECRET, "the other side does not know the cluster secret"),
        (SECRET, None, "the other side has a cluster secret, this one has none"),
    ],
)
def test_a_secret_on_one_side_only(
    of_dialler: bytes | None, of_acceptor: bytes | None, reason: str
) -> None:
    assert str(refusal(lambda: shake(*sides(of_dialler, of_acceptor)))) == reason


def test_the_acceptor_has_to_prove_itself_too() -> None:
    dialler, acceptor = sides()
    said = shake(dialler, acceptor)
    impostor_said = shake(*sides(None, None))
    again = Handshake(ALICE, True, SECRET, b"d" * NONCE_BYTES, anybody)
    again.start()
    again.receive(said[1])
    assert "does not know" in str(refusal(lambda: again.receive(impostor_said[3])))


def test_a_recorded_handshake_is_worth_nothing() -> None:
    said = shake(*sides())
    fresh = Handshake(BOB, False, SECRET, b"b" * NONCE_BYTES, anybody)
    fresh.receive(said[0])
    assert "does not know" in str(refusal(lambda: fresh.receive(said[2])))


def test_a_proof_cannot_be_sent_back() -> None:
    """Reflection: who does not know the secret has the acceptor's own words, and no proof."""
    victim = Handshake(BOB, False, SECRET, b"b" * NONCE_BYTES, anybody)
    said = shake(*sides())
    victim.receive(said[0])
    welcome_as_introduction = said[3].replace(b"WELCOME", b"HELLO\0\0", 1)
    refusal(lambda: victim.receive(welcome_as_introduction))
    assert not victim.done


def test_frames_out_of_turn_are_refused() -> None:
    said = shake(*sides())
    for number in (1, 2, 3):
        acceptor = sides()[1]
        assert "no handshake" in str(refusal(lambda n=number, a=acceptor: a.receive(said[n])))
    dialler, acceptor = sides()
    shake(dialler, acceptor)
    assert "out of turn" in str(refusal(lambda: acceptor.receive(said[2])))


def test_versions_must_overlap() -> None:
    opening = msgpack.encode(Opening(7, 9, b"n" * NONCE_BYTES))
    error = refusal(lambda: sides()[1].receive(opening))
    assert str(error) == "protocol 7 to 9, this side speaks 1 to 1"
    assert error.reply is not None
    newer = msgpack.encode(Opening(1, 9, b"n" * NONCE_BYTES))
    assert sides()[1].receive(newer) is not None


def test_who_is_not_welcome_hears_why_after_its_proof() -> None:
    acceptor_judges = sides(acceptor_judges=lambda hello: f"no {hello.id}s today")
    error = refusal(lambda: shake(*acceptor_judges))
    assert str(error) == "no alices today"
    assert error.reply is not None
    heard = refusal(lambda: sides()[0].receive(error.reply or b""))
    assert str(heard) == "refused: no alices today"
    assert "no bobs" in str(refusal(lambda: shake(*sides(dialler_judges=lambda _: "no bobs"))))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.binary(max_size=80), min_size=1, max_size=3), st.booleans())
def test_garbage_never_gets_in(bodies: list[bytes], dials: bool) -> None:
    side = Handshake(BOB, dials, SECRET, b"n" * NONCE_BYTES, anybody)
    side.start()
    for body in bodies:
        refusal(lambda b=body: side.receive(b))
    assert not side.done


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 3), st.data())
def test_any_changed_bit_is_noticed(which: int, data: st.DataObject) -> None:
    """Whoever sits in between cannot change what either side says without being noticed."""

    def tamper(number: int, body: bytes) -> bytes:
        if number != which:
            return body
        at = data.draw(st.integers(0, len(body) * 8 - 1))
        changed = bytearray(body)
        changed[at // 8] ^= 1 << at % 8
        return bytes(changed)

    dialler, acceptor = sides()
    refusal(lambda: shake(dialler, acceptor, tamper))
    assert not dialler.done


def test_what_differs_is_named() -> None:
    mine = {"slot jobs of Q": "1", "scale of Q": "2", "slot old of Q": "3"}
    assert difference(mine, dict(mine)) is None
    theirs = {"slot jobs of Q": "9", "scale of Q": "2", "slot new of Q": "3"}
    expected = (
        "slot jobs of Q differs; slot new of Q is missing here; slot old of Q is missing there"
    )
    assert difference(mine, theirs) == expected
    many = {f"slot s{n} of Q": "1" for n in range(9)}
    assert (difference({}, many) or "").endswith("and 6 more")


def test_which_nodes_are_unwelcome() -> None:
    assert unwelcome(ALICE, BOB) is None
    assert unwelcome(ALICE, ALICE) == ITSELF
    twin = Hello("node", "alice", "i-other")
    assert unwelcome(ALICE, twin) == "another process has the id 'alice' of this node"
    elsewhere = Hello("node", "carol", cluster="c2")
    assert unwelcome(ALICE, elsewhere) == "it belongs to the cluster c2, this node to c1"
    newcomer = Hello("node", "carol", digests={"scale of Q": "1"})
    reason = "'carol' runs a program that does not fit this node's: scale of Q is missing here"
    assert unwelcome(ALICE, newcomer) == reason
