"""`soma.toml`, read beside the source file (system reference §7): a tree of frozen records.

A missing file means all defaults. A malformed file or a value of a wrong type is an error with its
line; unknown sections and keys are warnings with a suggestion. `verify` and `models` are kept as
data: their own tools judge them.
"""

from __future__ import annotations

import difflib
import math
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .frontend.diagnostics import Diagnostic, Severity
from .frontend.frozen import Frozen
from .frontend.source import Source, Span

FILE_NAME = "soma.toml"
SIZE_MAX = 1024 * 1024  # bytes; a manifest is written by hand
PORT_MAX = 65_535


class Package(Frozen):
    """`[package]`. `declared` is False when there is no name and the file's stem stands in."""

    name: str = "app"
    version: str = "0.1.0"
    description: str = ""
    author: str = ""
    entry: str = "main.cell"
    declared: bool = False


class Serve(Frozen):
    """`[serve]`. `cors` holds origins, or just "*"; `max_body` in bytes; `timeout` in seconds,
    for a client to send a request or take an answer; `static` is a folder beside the source."""

    cors: tuple[str, ...] = ()
    max_body: int | None = None
    timeout: float | None = None
    static: str | None = None
    host: str | None = None
    port: int | None = None


class Etcd(Frozen):
    """`endpoints` and `etcd_…` of `[cluster]`: paths of PEM files, the prefix of all keys. User and
    password are never in a file: they come from the environment."""

    endpoints: tuple[str, ...] = ()
    prefix: str = ""
    ca: str = ""
    cert: str = ""
    key: str = ""


class Cluster(Frozen):
    """`[cluster]`. `intervals` are fields of the runtime's `ClusterConfig`, in milliseconds;
    `engine` keeps the memory of strong cells: the nodes' own ("embedded") or "etcd"."""

    seeds: tuple[str, ...] = ()
    node_id: str | None = None
    engine: str | None = None
    intervals: tuple[tuple[str, int], ...] = ()
    etcd: Etcd | None = None


class Model(Frozen):
    """`[agent]` or one `[models.NAME]`; `key` may hold `${ENV}`, which the runtime expands."""

    provider: str = "openai"
    model: str = ""
    url: str = ""
    key: str = ""
    retries: int = 3
    mock: str | None = None
    capabilities: tuple[str, ...] = ()


class Compute(Frozen):
    """`[compute]`"""

    backend: str = "sequential"
    threads: int | None = None
    parallel: tuple[str, ...] = ()


@dataclass(frozen=True)
class Manifest:
    """What `soma.toml` says. `path` is None when there is no such file."""

    path: Path | None = None
    package: Package = Package()  # noqa: RUF009 (frozen)
    serve: Serve = Serve()  # noqa: RUF009 (frozen)
    cluster: Cluster = Cluster()  # noqa: RUF009 (frozen)
    compute: Compute = Compute()  # noqa: RUF009 (frozen)
    agent: Model | None = None
    models: Mapping[str, Model] = field(default_factory=dict)
    peers: Mapping[str, str] = field(default_factory=dict)
    dependencies: Mapping[str, Any] = field(default_factory=dict)
    verify: Mapping[str, Any] = field(default_factory=dict)
    storage: Mapping[str, Any] = field(default_factory=dict)
    source: Source | None = None  # the text, for findings about `verify`


VERIFY_KEYS = frozenset(
    {"deadlock_free", "eventually", "never", "always", "after", "final", "fair", "ctl"}
)
INTERVALS = (
    "heartbeat_ms",
    "dead_ms",
    "forget_ms",
    "read_timeout_ms",
    "sync_interval_ms",
    "election_ms",
)
PROFILES: dict[str, dict[str, int]] = {"normal": {}, "fast": {"election_ms": 120}}
"""`[cluster] profile`: intervals for those that are not given. `fast` replaces a dead leader within
half a second, and needs nodes that are never kept waiting for so long by disks or neighbours."""

ENGINES = ("embedded", "etcd")
ETCD_KEYS = ("endpoints", "etcd_prefix", "etcd_ca", "etcd_cert", "etcd_key")
KEYS: dict[str, frozenset[str]] = {
    "package": frozenset({"name", "version", "description", "author", "authors", "entry"}),
    "serve": frozenset({"cors", "max_body", "timeout", "static", "host", "port"}),
    "cluster": frozenset({"seeds", "node_id", "engine", "profile", *ETCD_KEYS, *INTERVALS}),
    "compute": frozenset({"backend", "threads", "parallel"}),
    "agent": frozenset({"provider", "model", "url", "key", "retries", "mock", "capabilities"}),
    "storage": frozenset({"provider", "config", "overrides"}),
}
OPEN = frozenset({"dependencies", "verify", "peers", "models"})  # sections whose keys are free


def load_manifest(source_path: str | Path) -> tuple[Manifest, tuple[Diagnostic, ...]]:
    """The manifest of the program whose main file is `source_path`, and what is wrong with it."""
    main = Path(source_path)
    path = main.parent / FILE_NAME
    try:
        with path.open("rb") as file:
            raw = file.read(SIZE_MAX + 1)
    except (FileNotFoundError, NotADirectoryError):
        return Manifest(package=Package(name=main.stem)), ()
    except OSError as error:
        return Manifest(path), (_plain("E270", f"cannot read '{path}': {error.strerror}"),)
    if len(raw) > SIZE_MAX:
        return Manifest(path), (_plain("E270", f"'{path}' is larger than {SIZE_MAX} bytes"),)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        return Manifest(path), (_plain("E270", f"'{path}' is not UTF-8 (byte {error.start})"),)
    return parse_manifest(text, path, main.stem)


def parse_manifest(text: str, path: Path, stem: str) -> tuple[Manifest, tuple[Diagnostic, ...]]:
    """The manifest of a text; `stem` names the package when the text does not."""
    source = Source(str(path), text.replace("\r\n", "\n"))
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r" \(at (?:line (\d+), column (\d+)|end of document)\)$", str(error))
        message = str(error)[: found.start()] if found else str(error)
        place = _offset(source, found)
        span = Span(source, place, place + 1)
        return Manifest(path, Package(stem)), (
            Diagnostic("E270", Severity.ERROR, f"soma.toml: {message}", span),
        )
    return _Reader(source, data).manifest(path, stem)


def _plain(code: str, message: str) -> Diagnostic:
    return Diagnostic(code, Severity.ERROR, message)


def _offset(source: Source, found: re.Match[str] | None) -> int:
    if found is None or found[1] is None:
        return len(source.text)
    return source.line_starts[int(found[1]) - 1] + int(found[2]) - 1


def _is_arrows(item: object) -> bool:
    texts = item if isinstance(item, list) and item else [item]
    return all(isinstance(text, str) for text in texts)


class _Reader:
    """Takes typed values out of parsed TOML, and collects what does not fit."""

    def __init__(self, source: Source, data: dict[str, Any]) -> None:
        self.source = source
        self.data = data
        self.found: list[Diagnostic] = []

    def manifest(self, path: Path, stem: str) -> tuple[Manifest, tuple[Diagnostic, ...]]:
        self._unknown_keys()
        agent = self._table("agent")
        models = {
            name: self._model(f"models.{name}", table)
            for name, table in self._table("models").items()
            if self._is(table, dict, "models", name, "a table")
        }
        peers = self._table("peers")
        manifest = Manifest(
            path=path,
            package=self._package(stem),
            serve=self._serve(),
            cluster=self._cluster(),
            compute=self._compute(),
            agent=self._model("agent", agent) if agent else None,
            models=models,
            peers={k: v for k, v in peers.items() if self._is(v, str, "peers", k, "a string")},
            dependencies=self._table("dependencies"),
            verify=self._verify(),
            storage=self._table("storage"),
            source=self.source,
        )
        return manifest, tuple(self.found)

    def _package(self, stem: str) -> Package:
        table = self._table("package")
        get = self._getter("package", table)
        name = get("name", str, "a string", "")
        if not name and "name" not in table:
            message = f"soma.toml has no [package] name; '{stem}' is used"
            fix = f'add `name = "{stem}"` under [package]'
            self._warn("W271", message, self._span("package", None), fix)
        return Package(
            name=name or stem,
            version=get("version", str, "a string", "0.1.0"),
            description=get("description", str, "a string", ""),
            author=get("author", str, "a string", ""),
            entry=get("entry", str, "a string", "main.cell"),
            declared=bool(name),
        )

    def _serve(self) -> Serve:
        table = self._table("serve")
        get = self._getter("serve", table)
        timeout = table.get("timeout")
        if timeout is not None and not self._is(
            timeout, (int, float), "serve", "timeout", "a number"
        ):
            timeout = None
        cors = table.get("cors", [])
        max_body = get("max_body", int, "an integer", None)
        port = get("port", int, "an integer", None)
        if max_body is not None and max_body < 1:
            self._mismatch("serve", "max_body", "at least 1")
        if timeout is not None and not 0 < timeout < math.inf:
            self._mismatch("serve", "timeout", "a number above 0")
        if port is not None and not 0 <= port <= PORT_MAX:
            self._mismatch("serve", "port", f"a port from 0 to {PORT_MAX}")
        return Serve(
            cors=(cors,) if isinstance(cors, str) else self._strings("serve", table, "cors"),
            max_body=max_body,
            timeout=None if timeout is None else float(timeout),
            static=get("static", str, "a string", None),
            host=get("host", str, "a string", None),
            port=port,
        )

    def _cluster(self) -> Cluster:
        table = self._table("cluster")
        get = self._getter("cluster", table)
        seeds = self._strings("cluster", table, "seeds")
        node_id = get("node_id", str, "a string", None)
        profile = get("profile", str, "a string", "normal")
        if profile not in PROFILES:
            self._mismatch("cluster", "profile", '"normal" or "fast"')
        intervals = dict(PROFILES.get(profile, {}))
        for key in INTERVALS:
            value = get(key, int, "an integer", None)
            if value is not None and value < 1:
                self._mismatch("cluster", key, "at least 1 millisecond")
            elif value is not None:
                intervals[key] = value
        engine = get("engine", str, "a string", None)
        if engine is not None and engine not in ENGINES:
            self._mismatch("cluster", "engine", '"embedded" or "etcd"')
        etcd = self._etcd(table) if engine == "etcd" else None
        return Cluster(seeds, node_id, engine, tuple(intervals.items()), etcd)

    def _etcd(self, table: dict[str, Any]) -> Etcd:
        get = self._getter("cluster", table)
        endpoints = self._strings("cluster", table, "endpoints")
        prefix = get("etcd_prefix", str, "a string", "")
        files = {name: get(f"etcd_{name}", str, "a string", "") for name in ("ca", "cert", "key")}
        if prefix and not prefix.endswith("/"):
            self._mismatch("cluster", "etcd_prefix", 'a string that ends with "/"')
        if bool(files["cert"]) != bool(files["key"]):
            self._mismatch("cluster", "etcd_cert", "given together with `etcd_key`")
        return Etcd(endpoints=endpoints, prefix=prefix, **files)

    def _compute(self) -> Compute:
        table = self._table("compute")
        get = self._getter("compute", table)
        parallel = get("parallel", dict, "a table", {})
        handlers = self._strings("compute.parallel", parallel, "handlers")
        backend = get("backend", str, "a string", "sequential")
        return Compute(backend, get("threads", int, "an integer", None), handlers)

    def _model(self, section: str, table: dict[str, Any]) -> Model:
        get = self._getter(section, table)
        return Model(
            provider=get("provider", str, "a string", "openai"),
            model=get("model", str, "a string", ""),
            url=get("url", str, "a string", ""),
            key=get("key", str, "a string", ""),
            retries=get("retries", int, "an integer", 3),
            mock=get("mock", str, "a string", None),
            capabilities=self._strings(section, table, "capabilities"),
        )

    def _verify(self) -> dict[str, Any]:
        """`[verify]` and `[verify.MACHINE]`: here the types, in `somac.verify` the names."""
        table = self._table("verify")
        self._verify_section("verify", table)
        for name, section in table.items():
            if name not in VERIFY_KEYS and isinstance(section, dict):
                self._verify_section(f"verify.{name}", section)
        return table

    def _verify_section(self, section: str, table: dict[str, Any]) -> None:
        if "deadlock_free" in table:
            self._is(table["deadlock_free"], bool, section, "deadlock_free", "a boolean")
        for key in ("eventually", "never", "always", "final"):
            self._strings(section, table, key)
        after = table.get("after", {})
        if self._is(after, dict, section, "after", "a table"):
            for state, rules in after.items():
                if self._is(rules, dict, f"{section}.after", state, "a table"):
                    for key in ("eventually", "never"):
                        self._strings(f"{section}.after.{state}", rules, key)
        formulas = table.get("ctl", {})
        if self._is(formulas, dict, section, "ctl", "a table"):
            for name, formula in formulas.items():
                self._is(formula, str, f"{section}.ctl", name, "a formula in quotes")
        fair = table.get("fair", [])
        if not isinstance(fair, list) or not all(_is_arrows(item) for item in fair):
            self._mismatch(section, "fair", "a list of arrows, or of lists of arrows")

    # --- typed access ----------------------------------------------------------------------------

    def _table(self, section: str) -> dict[str, Any]:
        value = self.data.get(section, {})
        return value if self._is(value, dict, section, None, "a table") else {}

    def _getter(self, section: str, table: dict[str, Any]) -> Callable[..., Any]:
        def get(key: str, kind: type, words: str, default: Any) -> Any:
            value = table.get(key, default)
            if key in table and not self._is(value, kind, section, key, words):
                return default
            return value

        return get

    def _strings(self, section: str, table: dict[str, Any], key: str) -> tuple[str, ...]:
        value = table.get(key, [])
        fits = isinstance(value, list) and all(isinstance(item, str) for item in value)
        if not fits:
            self._mismatch(section, key, "a list of strings")
            return ()
        return tuple(value)

    def _is(
        self,
        value: object,
        kind: type | tuple[type, ...],
        section: str,
        key: str | None,
        words: str,
    ) -> bool:
        if isinstance(value, kind) and (kind is bool or not isinstance(value, bool)):
            return True
        self._mismatch(section, key, words)
        return False

    def _mismatch(self, section: str, key: str | None, words: str) -> None:
        name = f"`{section}`" if key is None else f"`{key}` in [{section}]"
        message = f"soma.toml: {name} must be {words}"
        fix = f"write {words} for {name} in soma.toml"
        span = self._span(section, key)
        self.found.append(Diagnostic("E271", Severity.ERROR, message, span, fix=fix))

    def _unknown_keys(self) -> None:
        for section, value in self.data.items():
            if section not in KEYS and section not in OPEN:
                self._unknown("section", section, section, None, (*KEYS, *OPEN))
            elif section in KEYS and isinstance(value, dict):
                for key in value:
                    if key not in KEYS[section]:
                        self._unknown("key", key, section, key, KEYS[section])

    def _unknown(
        self, what: str, name: str, section: str, key: str | None, known: Iterable[str]
    ) -> None:
        near = difflib.get_close_matches(name, sorted(known), n=1)
        hint = f"did you mean '{near[0]}'?" if near else None
        where = f" in [{section}]" if key is not None else ""
        message = f"soma.toml: unknown {what} `{name}`{where}"
        fix = f"rename `{name}` to `{near[0]}`" if near else f"remove `{name}`{where}"
        self._warn("W272", message, self._span(section, key), fix, hint)

    def _warn(
        self, code: str, message: str, span: Span | None, fix: str, hint: str | None = None
    ) -> None:
        self.found.append(
            Diagnostic(code, Severity.WARNING, message, span, fix=fix, hint=hint, counted=False)
        )

    def _span(self, section: str, key: str | None) -> Span:
        """Where a key stands. tomllib keeps no positions, so this looks at the text."""
        head = re.search(rf"^[ \t]*\[{re.escape(section)}\]", self.source.text, re.M)
        start = head.end() if head else 0
        if head is None and key is not None and "." in section:  # a table inside a line
            above, _, last = section.rpartition(".")
            start = self._span(above, last).end
            inline = re.compile(rf"(?<![\w\"'-])({re.escape(key)})\s*=").search(
                self.source.text, start
            )
            if inline:
                return Span(self.source, *inline.span(1))
        if key is not None:
            pattern = rf"^[ \t]*(?:\[[^\]\n]*)?({re.escape(key)})\b"
            found = re.compile(pattern, re.M).search(self.source.text, start)
            if found:
                return Span(self.source, found.start(1), found.end(1))
        if head:
            return Span(self.source, head.end() - len(section) - 2, head.end())
        found = re.search(rf"^[ \t]*({re.escape(section)})\b", self.source.text, re.M)
        return Span(self.source, *(found.span(1) if found else (0, 0)))
