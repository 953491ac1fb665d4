"""Encryption at rest for [encrypted] slots: AES-256-GCM, one random nonce for each record.

The slot and the key of a record are its associated data, so that a record moved to another
place, like a changed one, does not decrypt.
"""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import SomaError, type_error

KEY_BYTES = 32
_NONCE_BYTES = 12


class Cipher:
    """Seals and opens records with one key."""

    def __init__(self, key: bytes) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._aead = AESGCM(key)

    def seal(self, plain: str, place: str) -> bytes:
        """The nonce and the sealed text, bound to its place."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, plain.encode(), place.encode())

    def open(self, sealed: bytes, place: str) -> str:
        """The text. Raises SomaError when the key is wrong or the record was changed or moved."""
        from cryptography.exceptions import InvalidTag

        nonce, body = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        try:
            return self._aead.decrypt(nonce, body, place.encode()).decode()
        except (InvalidTag, ValueError) as error:
            raise type_error(f"cannot decrypt a record of {place.split(chr(0))[0]}") from error


def load_key(path: Path, create: bool) -> bytes:
    """The key in a file; with `create` a new one, readable by its owner only, if it is absent.

    Raises SomaError when the file is missing, unreadable or not a key.
    """
    try:
        if create and not path.exists():
            return _create_key(path)
        key = path.read_bytes()
    except OSError as error:
        raise type_error(f"cannot read the key file '{path}': {error.strerror}") from error
    if len(key) != KEY_BYTES:
        raise type_error(f"the key file '{path}' must hold exactly {KEY_BYTES} bytes")
    return key


def _create_key(path: Path) -> bytes:
    key = os.urandom(KEY_BYTES)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(key)
        file.flush()
        os.fsync(file.fileno())
    return key


def check_key(cipher: Cipher, proof: bytes, path: Path) -> None:
    """Raises SomaError when the key is not the one that the data were written with."""
    try:
        cipher.open(proof, "proof")
    except SomaError as error:
        raise type_error(f"wrong encryption key: '{path}' does not open this data") from error
