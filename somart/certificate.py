"""Whether a built package still is what its certificate was written for.

`certificate.json` lists the digests of the program's modules and sources, as they lie beside it,
and ends with a seal, the digest of all the rest. This tells a hand-edited or half-copied package
from a verified one. It is no signature: who wants to deceive can write a new seal.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CERTIFICATE = "certificate.json"


def digest(content: bytes) -> str:
    """The SHA-256 of a file's content, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def seal(data: Mapping[str, Any]) -> str:
    """The digest of a certificate without its seal, whatever the order and layout of its keys."""
    rest = {key: value for key, value in data.items() if key != "seal"}
    return digest(json.dumps(rest, sort_keys=True, separators=(",", ":")).encode("ascii"))


def sealed(data: Mapping[str, Any], files: Mapping[str, bytes]) -> dict[str, Any]:
    """A certificate with the digests of these files, by their path in the package, and a seal."""
    listed = {path: digest(content) for path, content in sorted(files.items())}
    whole: dict[str, Any] = {**data, "files": listed}
    whole["seal"] = seal(json.loads(json.dumps(whole)))  # as it will be read
    return whole


def mismatch(folder: Path) -> str | None:
    """What in a package's folder does not fit its certificate, as a message; None when all does.

    Reads the certificate and the files that it lists; the vendored runtime is not among them.
    """
    try:
        data = json.loads((folder / CERTIFICATE).read_bytes())
        listed = {str(path): str(known) for path, known in data["files"].items()}
        given = data["seal"]
    except FileNotFoundError:
        return f"{CERTIFICATE} is missing"
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return f"{CERTIFICATE} cannot be read"
    if given != seal(data):
        return f"{CERTIFICATE} was changed after the build"
    for path, known in listed.items():
        try:
            content = (folder / path).read_bytes()
        except OSError:
            return f"{path} is missing, and {CERTIFICATE} lists it"
        if digest(content) != known:
            return f"{path} is not what {CERTIFICATE} was written for"
    return None
