"""Where etcd is and how to get in: `[cluster]` of `soma.toml`, and the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import ssl

    from ...spec import EtcdSpec

DEFAULT_PORT = 2379
DEFAULT_ENDPOINTS = (f"http://127.0.0.1:{DEFAULT_PORT}",)
ENDPOINTS, USER, PASSWORD = "SOMA_ETCD_ENDPOINTS", "SOMA_ETCD_USER", "SOMA_ETCD_PASSWORD"
"""Names in the environment."""


class Endpoint(NamedTuple):
    """Where a member listens for clients."""

    host: str
    port: int
    tls: bool

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}"


def endpoint_of(text: str) -> Endpoint:
    """Reads `http://host:port`, `https://…` or `host:port`. Raises ValueError."""
    parts = urlsplit(text if "//" in text else f"http://{text}")
    port = parts.port or DEFAULT_PORT
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise ValueError(f"'{text}' is no endpoint of etcd: http://HOST:PORT or https://HOST:PORT")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError(f"'{text}' is no endpoint of etcd: nothing may follow the port")
    return Endpoint(parts.hostname, port, parts.scheme == "https")


@dataclass(frozen=True, slots=True)
class EtcdOptions:
    """Where etcd is and how to get in. Files are PEM."""

    endpoints: tuple[Endpoint, ...] = ()
    authority: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    user: str = ""
    password: str = field(default="", repr=False)
    prefix: str = ""
    """Above all keys of the program; empty: `/soma/{program}/`."""

    def context(self) -> ssl.SSLContext | None:
        """For TLS. Raises OSError when a file cannot be used."""
        if not any(endpoint.tls for endpoint in self.endpoints):
            return None
        import ssl

        context = ssl.create_default_context(cafile=self.authority)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.certificate is not None:
            context.load_cert_chain(self.certificate, self.key)
        return context


def etcd_options_of(spec: EtcdSpec | None, environment: Mapping[str, str]) -> EtcdOptions | None:
    """What the manifest says, with endpoints, user and password of the environment. None: the
    program does not want etcd. Raises ValueError with what is wrong."""
    if spec is None:
        return None
    words = [word.strip() for word in environment.get(ENDPOINTS, "").split(",")]
    listed = tuple(word for word in words if word) or spec.endpoints or DEFAULT_ENDPOINTS
    if bool(spec.certificate) != bool(spec.key):
        raise ValueError("etcd_cert and etcd_key go together")
    if spec.prefix and not spec.prefix.endswith("/"):
        raise ValueError("etcd_prefix must end with '/'")
    return EtcdOptions(
        endpoints=tuple(endpoint_of(one) for one in listed),
        authority=_path(spec.authority),
        certificate=_path(spec.certificate),
        key=_path(spec.key),
        user=environment.get(USER, ""),
        password=environment.get(PASSWORD, ""),
        prefix=spec.prefix,
    )


def _path(text: str) -> Path | None:
    return Path(text) if text else None
