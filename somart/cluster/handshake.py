"""How two ends of a connection come to trust each other: four frames, without I/O.

    dialler → acceptor   Opening       protocol versions, a nonce
    acceptor → dialler   Challenge     the version, a nonce
    dialler → acceptor   Introduction  who it is, and its proof
    acceptor → dialler   Welcome       who it is, and its proof; or Refused

A proof is an HMAC-SHA256 under the shared secret over the side that gives it and all that was
said before, both nonces and hellos included. Each side's nonce is fresh, so that a recorded
handshake is worth nothing; the two directions differ, so that a proof cannot be sent back. The
acceptor says nothing of itself or its cluster before the dialler's proof has been checked, and the
dialler only speaks at an address that it was told to dial. Without a secret proofs are empty: on
the loopback address, or where TLS has checked both ends.

Keys that seal the frames of the link come from the secret and the transcript (HKDF, RFC 5869).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from typing import Annotated, Literal, NamedTuple

from msgspec import Meta, MsgspecError, Struct, msgpack

from .messages import Name, Text

VERSIONS = (1, 1)
"""The oldest and the newest protocol that this code speaks."""

NONCE_BYTES = 32
HANDSHAKE_BYTES = 64 * 1024
"""The longest frame of a handshake."""

DIGESTS_MAX = 512

Role = Literal["node", "link", "tail", "status", "admin"]
Nonce = Annotated[bytes, Meta(min_length=NONCE_BYTES, max_length=NONCE_BYTES)]
Proof = Annotated[bytes, Meta(max_length=32)]
HelloBytes = Annotated[bytes, Meta(max_length=HANDSHAKE_BYTES)]
Version = Annotated[int, Meta(ge=0, le=65_535)]


class Hello(Struct, frozen=True, array_like=True):
    """Who somebody is.

    `address` and `http` are where it is dialled, `instance` is made up anew by each process.
    `digests` are of what all nodes of a cluster must agree on, by what it is (`identity.py`).
    """

    role: Role
    id: Name
    instance: Name = ""
    address: Name = ""
    http: Name = ""
    cluster: Name = ""
    digests: Annotated[dict[Name, Name], Meta(max_length=DIGESTS_MAX)] = {}


class Opening(Struct, frozen=True, array_like=True, tag="SOMA"):
    """The dialler's first frame."""

    oldest: Version
    newest: Version
    nonce: Nonce


class Challenge(Struct, frozen=True, array_like=True, tag="CHALLENGE"):
    """The acceptor's answer: which version to speak, and its nonce."""

    version: Version
    nonce: Nonce


class Introduction(Struct, frozen=True, array_like=True, tag="HELLO"):
    """Who the dialler is, and its proof."""

    hello: HelloBytes
    proof: Proof


class Welcome(Struct, frozen=True, array_like=True, tag="WELCOME"):
    """Who the acceptor is, and its proof."""

    hello: HelloBytes
    proof: Proof


class Refused(Struct, frozen=True, array_like=True, tag="REFUSED"):
    """The acceptor's last frame."""

    reason: Text


class HandshakeError(Exception):
    """The handshake has failed; the text is for the log of this side.

    `reply` is the body of a last frame for the other side, if it may know.
    """

    def __init__(self, reason: str, reply: bytes | None = None) -> None:
        super().__init__(reason)
        self.reply = reply


class SessionKeys(NamedTuple):
    """Keys of the seals of both directions, as this side sees them."""

    sending: bytes
    receiving: bytes


Judge = Callable[[Hello], str | None]
"""Why somebody who has proved itself is not welcome, None if it is."""

NOT_AUTHENTICATED = "not authenticated"

_encoder = msgpack.Encoder()
_of_dialler = msgpack.Decoder(Opening | Introduction)
_of_acceptor = msgpack.Decoder(Challenge | Welcome | Refused)
_hello = msgpack.Decoder(Hello)


class Handshake:
    """One side of a handshake. Bodies of frames in and out; `peer` is set when it is done.

    `nonce` must be fresh and unforeseeable. `judge` is asked about a peer that has proved itself.
    """

    def __init__(
        self, me: Hello, dials: bool, secret: bytes | None, nonce: bytes, judge: Judge
    ) -> None:
        self.peer: Hello | None = None
        self.keys: SessionKeys | None = None
        self._me = _encoder.encode(me)
        self._dials = dials
        self._secret = secret
        self._nonce = nonce
        self._judge = judge
        self._said: list[bytes] = []
        self._salt = b""

    @property
    def done(self) -> bool:
        """Whether both sides have proved themselves."""
        return self.peer is not None

    def start(self) -> bytes | None:
        """What is to be sent first."""
        return self._say(Opening(*VERSIONS, self._nonce)) if self._dials else None

    def receive(self, body: bytes) -> bytes | None:
        """What is to be sent in answer, if anything. Raises HandshakeError."""
        decoder = _of_acceptor if self._dials else _of_dialler
        try:
            message = decoder.decode(body)
        except (MsgspecError, UnicodeError, RecursionError) as error:
            raise HandshakeError(f"no handshake: {error}") from error
        match message, len(self._said):
            case Opening(), 0:
                return self._challenge(message, body)
            case Challenge(), 1:
                return self._introduce(message, body)
            case Introduction(), 2:
                return self._welcome(message)
            case Welcome(), 3:
                self._check_welcome(message)
                return None
            case Refused(), _:
                raise HandshakeError(f"refused: {message.reason}")
        raise HandshakeError(f"no handshake: {type(message).__name__} out of turn")

    # --- the acceptor ----------------------------------------------------------------------------

    def _challenge(self, opening: Opening, body: bytes) -> bytes:
        version = min(opening.newest, VERSIONS[1])
        if version < max(opening.oldest, VERSIONS[0]):
            theirs = f"{opening.oldest} to {opening.newest}"
            reason = f"protocol {theirs}, this side speaks {VERSIONS[0]} to {VERSIONS[1]}"
            raise HandshakeError(reason, _encoder.encode(Refused(reason)))
        self._said.append(body)
        self._salt = opening.nonce + self._nonce
        return self._say(Challenge(version, self._nonce))

    def _welcome(self, introduction: Introduction) -> bytes:
        self._said.append(introduction.hello)
        if (wrong := self._wrong(introduction.proof, "dialler")) is not None:
            raise HandshakeError(wrong, _encoder.encode(Refused(NOT_AUTHENTICATED)))
        peer = _decode_hello(introduction.hello)
        if (unwelcome := self._judge(peer)) is not None:
            raise HandshakeError(unwelcome, _encoder.encode(Refused(unwelcome[:4096])))
        self._said.append(self._me)
        self._finish(peer)
        return _encoder.encode(Welcome(self._me, self._proof("acceptor")))

    # --- the dialler -----------------------------------------------------------------------------

    def _introduce(self, challenge: Challenge, body: bytes) -> bytes:
        if not VERSIONS[0] <= challenge.version <= VERSIONS[1]:
            raise HandshakeError(f"no handshake: version {challenge.version} was not offered")
        self._said += [body, self._me]
        self._salt = self._nonce + challenge.nonce
        return _encoder.encode(Introduction(self._me, self._proof("dialler")))

    def _check_welcome(self, welcome: Welcome) -> None:
        self._said.append(welcome.hello)
        if (wrong := self._wrong(welcome.proof, "acceptor")) is not None:
            raise HandshakeError(wrong)
        peer = _decode_hello(welcome.hello)
        if (unwelcome := self._judge(peer)) is not None:
            raise HandshakeError(unwelcome)
        self._finish(peer)

    # --- both ------------------------------------------------------------------------------------

    def _say(self, message: Opening | Challenge) -> bytes:
        body = _encoder.encode(message)
        self._said.append(body)
        return body

    def _transcript(self) -> bytes:
        whole = hashlib.sha256()
        for part in self._said:
            whole.update(len(part).to_bytes(4, "big"))
            whole.update(part)
        return whole.digest()

    def _proof(self, side: str) -> bytes:
        if self._secret is None:
            return b""
        return hmac.digest(self._secret, b"soma " + side.encode() + self._transcript(), "sha256")

    def _wrong(self, proof: bytes, side: str) -> str | None:
        if hmac.compare_digest(proof, self._proof(side)):
            return None
        if self._secret is None:
            return "the other side has a cluster secret, this one has none"
        return "the other side does not know the cluster secret"

    def _finish(self, peer: Hello) -> None:
        if self._secret is not None:
            extracted = hmac.digest(self._salt, self._secret, "sha256")
            transcript = self._transcript()
            dialler = hmac.digest(extracted, transcript + b"dialler\x01", "sha256")
            acceptor = hmac.digest(extracted, transcript + b"acceptor\x01", "sha256")
            pair = (dialler, acceptor) if self._dials else (acceptor, dialler)
            self.keys = SessionKeys(*pair)
        self.peer = peer


def _decode_hello(body: bytes) -> Hello:
    try:
        return _hello.decode(body)
    except (MsgspecError, UnicodeError) as error:
        raise HandshakeError(f"no handshake: {error}") from error
