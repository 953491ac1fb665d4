"""Who gets into etcd: TLS, users and their rights, for the client and for nodes."""

from __future__ import annotations

import subprocess
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest
import trio
from etcd_apps import nodes, run, until
from etcd_members import Members, needs_etcd

from somart import ProgramSpec, SomaError
from somart.cluster.boot import BootError, ClusterNode
from somart.engines.etcd.client import EtcdClient, EtcdError, to_wire
from somart.engines.etcd.settings import EtcdOptions, endpoint_of
from somart.errors import NO_QUORUM
from somart.options import ServeOptions

pytestmark = [pytest.mark.slow, needs_etcd]


PREFIX = "/soma/allowed/"


def admin_of(member: Members, user: str = "") -> EtcdClient:
    listed = tuple(endpoint_of(one) for one in member.endpoints)
    return EtcdClient(EtcdOptions(listed, user=user, password="geheim"))


async def lock(admin: EtcdClient) -> None:
    """From now on etcd lets in `root`, and `soma` to the keys of one program."""
    for user in ("root", "soma"):
        await admin.call("auth/user/add", {"name": user, "password": "geheim"})
        await admin.call("auth/role/add", {"name": user})
        await admin.call("auth/user/grant", {"user": user, "role": user})
    first, last = to_wire(PREFIX), to_wire(PREFIX[:-1] + "0")
    right = {"permType": "READWRITE", "key": first, "range_end": last}
    await admin.call("auth/role/grant", {"name": "soma", "perm": right})
    await admin.call("auth/enable", {})


def certificate_in(folder: Path) -> None:
    """One certificate for the server, the client and the authority."""
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-days", "2", "-keyout", "key.pem", "-out", "cert.pem"]
    command += ["-subj", "/CN=soma", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=20)


def tls_member(folder: Path) -> tuple[Members, EtcdOptions]:
    """A member that wants certificates, and what a node needs for it."""
    certificate_in(folder)
    certificate, key = folder / "cert.pem", folder / "key.pem"
    extra = ("--cert-file", str(certificate), "--key-file", str(key))
    extra += ("--client-cert-auth", "--trusted-ca-file", str(certificate))
    member = Members(folder, 1, extra, tls=True)
    return member, EtcdOptions((), certificate, certificate, key)


def test_a_member_with_tls_lets_in_who_has_a_certificate(tmp_path: Path) -> None:
    member, access = tls_member(tmp_path)

    async def test() -> None:
        listed = tuple(endpoint_of(one) for one in member.endpoints)
        client = EtcdClient(replace(access, endpoints=listed))
        with trio.fail_after(15):
            await client.ask("kv/put", {"key": to_wire("a"), "value": to_wire("1")}, 10)
            assert len((await client.call("kv/range", {"key": to_wire("a")}))["kvs"]) == 1
            await client.aclose()
            stranger = EtcdClient(EtcdOptions(listed, access.authority))
            with pytest.raises(EtcdError):
                await stranger.call("kv/range", {"key": to_wire("a")})
            await stranger.aclose()

    try:
        run(test)
    finally:
        member.close()


def test_a_user_gets_in_by_its_password(tmp_path: Path) -> None:
    member = Members(tmp_path, 1)

    async def test() -> None:
        listed = tuple(endpoint_of(one) for one in member.endpoints)
        admin = admin_of(member)
        await lock(admin)
        with pytest.raises(EtcdError):
            await admin.call("kv/range", {"key": to_wire("a")})
        user = EtcdClient(EtcdOptions(listed, user="root", password="geheim"))
        await user.call("kv/put", {"key": to_wire("a"), "value": to_wire("1")})
        user._token = "stale.1"
        assert len((await user.call("kv/range", {"key": to_wire("a")}))["kvs"]) == 1
        async with aclosing(user.watch(to_wire("a"), to_wire("b"), 1)) as results:
            async for result in results:
                if result.get("events"):
                    break
        wrong = EtcdClient(EtcdOptions(listed, user="root", password="falsch"))
        with pytest.raises(EtcdError) as refused:
            await wrong.call("kv/range", {"key": to_wire("a")})
        assert not refused.value.sent
        for client in (admin, user, wrong):
            await client.aclose()

    try:
        run(test)
    finally:
        member.close()


# --- nodes ---------------------------------------------------------------------------------------


def test_nodes_share_their_memory_over_tls(spec: ProgramSpec, tmp_path: Path) -> None:
    member, access = tls_member(tmp_path)

    async def test() -> None:
        admin = EtcdClient(replace(access, endpoints=(endpoint_of(member.endpoints[0]),)))
        await admin.ask("kv/range", {"key": to_wire("a")}, 10)  # it has started
        await admin.aclose()
        async with nodes(spec, member.endpoints, 2, access=access) as (a, b):
            for number in range(5):
                await a.app.invoke("Bank", "put", ["x", number])
                assert await b.app.invoke("Bank", "get", ["x"]) == number
        stranger = EtcdOptions((), access.authority)
        other = tmp_path / "other"
        other.mkdir()
        certificate_in(other)
        deceived = replace(access, authority=other / "cert.pem")
        for refused, why in ((stranger, ""), (deceived, "CERTIFICATE_VERIFY_FAILED")):
            async with nodes(spec, member.endpoints, 1, access=refused, wait=False) as (c,):
                await until(lambda c=c: bool(c.notes))
                assert why in c.notes[0]
                assert c.engine.unready() == "etcd has not answered yet"

    try:
        run(test)
    finally:
        member.close()


def test_files_that_cannot_be_used_are_found_when_a_node_starts(
    spec: ProgramSpec, tmp_path: Path
) -> None:
    etcd = EtcdOptions((endpoint_of("https://127.0.0.1:1"),), tmp_path / "none.pem")
    with pytest.raises(
        BootError, match=r"\[cluster\] in soma.toml: TLS files of etcd: .*No such file"
    ):
        ClusterNode(spec, ServeOptions(data=tmp_path, etcd=etcd), print)


@pytest.mark.parametrize("tokens", ["simple", "jwt"])
def test_a_node_needs_rights_for_its_own_keys_only(
    spec: ProgramSpec, tmp_path: Path, tokens: str
) -> None:
    member = Members(tmp_path, 1, jwt_in(tmp_path) if tokens == "jwt" else ())
    access = EtcdOptions((), user="soma", password="geheim")

    async def test() -> None:
        admin, root = admin_of(member), admin_of(member, "root")
        await lock(admin)
        async with nodes(spec, member.endpoints, 1, PREFIX, access=access) as (a,):

            async def put(number: int) -> None:
                await a.app.invoke("Bank", "put", ["x", number])
                assert await a.app.invoke("Bank", "get", ["x"]) == number

            await put(1)
            assert await a.app.invoke("Bank", "number", []) == 1
            await until(lambda: a.engine.fence().leads)
            # A change of users or roles makes tokens of this kind worthless.
            await root.call("auth/role/add", {"name": "another"})
            await put(2)
            member.kill(0)  # which forgets tokens of the other kind
            member.start(0)
            await trio.to_thread.run_sync(member.wait)
            await put(3)
            # Who loses its rights is told so, not kept waiting.
            first, last = to_wire(PREFIX), to_wire(PREFIX[:-1] + "0")
            await root.call("auth/role/revoke", {"role": "soma", "key": first, "range_end": last})
            with pytest.raises(SomaError, match="permission denied") as refused:
                await a.app.invoke("Bank", "put", ["x", 4])
            assert refused.value.kind == NO_QUORUM
        async with nodes(spec, member.endpoints, 1, access=access, wait=False) as (b,):
            await until(lambda: any("permission denied" in note for note in b.notes))
            assert b.engine.unready()
        wrong = replace(access, password="falsch")
        async with nodes(spec, member.endpoints, 1, PREFIX, access=wrong, wait=False) as (c,):
            await until(lambda: any("invalid user ID or password" in note for note in c.notes))
            assert not any("falsch" in note for note in c.notes)
        for client in (admin, root):
            await client.aclose()

    try:
        run(test)
    finally:
        member.close()


def jwt_in(folder: Path) -> tuple[str, ...]:
    """Options of a member whose tokens are signed: they carry the revision of users and roles."""
    for words in (
        ["genrsa", "-out", "private.pem", "2048"],
        ["rsa", "-in", "private.pem", "-pubout", "-out", "public.pem"],
    ):
        command = ["openssl", *words]
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=20)
    keys = f"pub-key={folder / 'public.pem'},priv-key={folder / 'private.pem'}"
    return ("--auth-token", f"jwt,{keys},sign-method=RS256,ttl=1m")
