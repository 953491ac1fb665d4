"""What protects the bus: a shared secret, TLS, or being reachable from this machine only."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .options import ClusterOptions, TlsFiles


class ProtectionError(Exception):
    """The bus cannot be protected as asked, or would be open; the text is for the terminal."""


@dataclass(frozen=True, slots=True)
class Tls:
    """Both ends of mutual TLS: each shows a certificate that the cluster's authority has signed.

    Host names are not checked: nodes move, and the authority signs nobody but nodes.
    """

    server: ssl.SSLContext
    client: ssl.SSLContext


@dataclass(frozen=True, slots=True)
class Protection:
    """How connections of the bus are protected. With nothing set, only by being local."""

    secret: bytes | None = field(default=None, repr=False)
    tls: Tls | None = None

    @property
    def seals(self) -> bool:
        """Whether frames carry seals: TLS makes its own."""
        return self.secret is not None and self.tls is None

    @property
    def authenticates(self) -> bool:
        """Whether a peer has proved something."""
        return self.secret is not None or self.tls is not None


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches that address; names other than localhost are not known."""
    try:
        return ip_address(host.strip("[]").partition("%")[0]).is_loopback
    except ValueError:
        return host == "localhost"


def require_protection(host: str, secret: bytes | None, tls: bool, insecure: bool) -> str | None:
    """Why the bus must not listen on `host` like that; None when it may."""
    if secret is not None or tls or insecure or is_loopback(host):
        return None
    return (
        f"the bus on {host} would let anybody in: give all nodes --cluster-secret-file FILE, or "
        "--tls-cert, --tls-key and --tls-ca; --insecure if nobody else reaches this network"
    )


def protection_of(options: ClusterOptions) -> Protection:
    """The protection that the options of a node ask for. Raises ProtectionError."""
    tls = None if options.tls is None else tls_of(options.tls)
    return Protection(options.secret, tls)


def tls_of(files: TlsFiles) -> Tls:
    """Contexts out of PEM files. Raises ProtectionError when they do not fit together."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    for context in (server, client):
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.verify_mode = ssl.CERT_REQUIRED
        try:
            context.load_cert_chain(files.certificate, files.key)
            context.load_verify_locations(files.authority)
        except (OSError, ValueError) as error:
            named = f"{files.certificate}, {files.key}, {files.authority}"
            raise ProtectionError(f"TLS files do not fit ({named}): {error}") from error
    return Tls(server, client)
