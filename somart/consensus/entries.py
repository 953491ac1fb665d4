"""How a configuration is written into an entry of the log."""

from __future__ import annotations

import msgspec

from .messages import Configuration, Entry

_decoder = msgspec.msgpack.Decoder(Configuration)


def configuration_entry(index: int, term: int, configuration: Configuration) -> Entry:
    return Entry(index, term, "configuration", msgspec.msgpack.encode(configuration))


def configuration_of(entry: Entry) -> Configuration:
    """Raises msgspec.DecodeError for an entry of another kind."""
    return _decoder.decode(entry.data)
