"""The commands, as Typer sees them. Each imports what it needs when it is called."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .. import __version__

app = typer.Typer(
    name="soma",
    help="Soma: check, run, test, serve and build cells.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

File = Annotated[str, typer.Argument(metavar="FILE", help="The .cell file.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


def invoke(argv: list[str]) -> int:
    """Runs one command line; misuse prints a usage line and gives 2."""
    command = typer.main.get_command(app)
    try:
        code = command.main(args=argv, prog_name="soma", standalone_mode=True)
    except SystemExit as exit_:
        return exit_.code if isinstance(exit_.code, int) else int(exit_.code is not None)
    return code if isinstance(code, int) else 0


def _done(code: int) -> None:
    raise typer.Exit(code)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"soma {__version__}")
        _done(0)


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    stdlib: Annotated[
        str, typer.Option(help="Accepted and not needed: the properties are built in.", hidden=True)
    ] = "",
) -> None:
    """Soma: check, run, test, serve and build cells."""


@app.command()
def run(
    file: File,
    args: Annotated[
        list[str] | None, typer.Argument(help="Arguments; negative ones after --.")
    ] = None,
    signal: Annotated[str | None, typer.Option(help="The handler to call.")] = None,
    record: Annotated[bool, typer.Option("--record", help="Append each call to a log.")] = False,
    jit: Annotated[bool, typer.Option("--jit", hidden=True)] = False,
) -> None:
    """Call a handler and print its result."""
    from .running import run_program

    _done(run_program(file, args or [], signal, record))


@app.command()
def replay(
    file: File,
    log: Annotated[
        str | None, typer.Option(metavar="LOG", help="The log (default: FILE's, .somalog).")
    ] = None,
    at: Annotated[
        int | None, typer.Option(metavar="MS", help="Only calls up to that Unix time.")
    ] = None,
) -> None:
    """Run recorded calls again on empty memory and compare their results."""
    from .replaying import replay_log

    _done(replay_log(file, log, at))


@app.command()
def check(file: File, json: Json = False) -> None:
    """Report everything that is wrong with a program."""
    from .checking import check_program

    _done(check_program(file, json))


@app.command()
def fix(file: File, json: Json = False) -> None:
    """Repair in place what needs no judgement, and check again."""
    from .fixing import fix_program

    _done(fix_program(file, json))


@app.command()
def lint(file: File, json: Json = False) -> None:
    """Remark on style and on likely slips."""
    from .linting import lint_program

    _done(lint_program(file, json))


@app.command()
def verify(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", show_default=False)],
    json: Json = False,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings fail, too.")] = False,
    emit_tests: Annotated[
        str | None,
        typer.Option("--emit-tests", metavar="DIR", help="Write a test per counter-example."),
    ] = None,
) -> None:
    """Prove properties of lifecycles, handlers and distribution."""
    from .verifying import verify_files

    _done(verify_files(files, json, strict, emit_tests))


@app.command()
def test(file: File) -> None:
    """Run the test cells of a program."""
    from .running import test_program

    _done(test_program(file))


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    add_help_option=False,
)
def serve(context: typer.Context) -> None:
    """Serve a program over HTTP (serve FILE --help lists the options)."""
    from .serving import serve as start

    _done(start(context.args))


@app.command()
def simulate(
    file: File,
    nodes: Annotated[int, typer.Option(help="How many nodes.")] = 5,
    seed: Annotated[int, typer.Option(help="What decides everything in a run.")] = 1,
    seeds: Annotated[int, typer.Option(help="How many runs, with consecutive seeds.")] = 1,
    minutes: Annotated[float, typer.Option(help="Virtual minutes of a run.")] = 10.0,
    faults: Annotated[
        str, typer.Option(help="Kinds of faults, with commas; or all, or none.")
    ] = "partition,crash,skew",
    calls: Annotated[int, typer.Option(help="How many calls clients make in a run.")] = 300,
    only: Annotated[
        str, typer.Option(metavar="PICKS", help="Only these faults and calls: f0,f3,c5-9.")
    ] = "",
    trace: Annotated[bool, typer.Option("--trace", help="Print all that happens.")] = False,
    history: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write what clients asked and were told.")
    ] = None,
) -> None:
    """Run a program on many simulated nodes under faults, and check its promises."""
    from .simulating import Wanted, simulate_program

    wanted = Wanted(file, nodes, seed, seeds, minutes, faults, calls, only, trace, history)
    _done(simulate_program(wanted))


@app.command()
def build(
    file: File,
    out: Annotated[str, typer.Option("-o", "--out", help="The folder to write.")] = "dist",
    package: Annotated[
        str | None, typer.Option(help="Name of the Python package (default: the file's stem).")
    ] = None,
    runtime: Annotated[
        str, typer.Option(help="vendored: inside the package; shared: an installed somart.")
    ] = "vendored",
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite files that somac did not write.")
    ] = False,
) -> None:
    """Compile a program to an installable Python package."""
    from .building import build_package

    if runtime not in ("vendored", "shared"):
        raise typer.BadParameter("is 'vendored' or 'shared'", param_hint="--runtime")
    _done(build_package(file, out, package, runtime == "shared", force))


@app.command()
def parse(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", show_default=False)],
) -> None:
    """Say for each file whether it is well-formed."""
    from .checking import parse_files

    _done(parse_files(files))


@app.command()
def ast(file: File) -> None:
    """Print the syntax tree."""
    from .showing import show_tree

    _done(show_tree(file))


@app.command()
def tokens(file: File) -> None:
    """Print the tokens."""
    from .showing import show_tokens

    _done(show_tokens(file))


@app.command()
def describe(file: File) -> None:
    """Print cells, handlers, slots and machines as JSON."""
    from .showing import show_description

    _done(show_description(file))


@app.command()
def props() -> None:
    """List the memory properties and their rules."""
    from .showing import show_properties

    _done(show_properties())


@app.command()
def explain(
    code: Annotated[str, typer.Argument(help="The code of a diagnostic, such as E012.")],
) -> None:
    """Explain a diagnostic, with a wrong and a right example."""
    from .showing import explain_code

    _done(explain_code(code))


@app.command()
def init(name: Annotated[str | None, typer.Argument(show_default=False)] = None) -> None:
    """Start a project: soma.toml and main.cell."""
    from .project import init_project

    _done(init_project(name))


@app.command()
def repl() -> None:
    """Evaluate expressions, let and one-line cells; :quit ends."""
    from .interactive import repl as start

    _done(start())


BusAddress = Annotated[str, typer.Argument(metavar="HOST:PORT", help="Its bus or HTTP address.")]
SecretFile = Annotated[str | None, typer.Option(metavar="FILE", help="The secret of its cluster.")]
TlsCert = Annotated[
    str | None, typer.Option(metavar="FILE", help="A certificate, when its bus wants one.")
]
TlsKey = Annotated[str | None, typer.Option(metavar="FILE", help="The key of that certificate.")]
TlsCa = Annotated[
    str | None, typer.Option(metavar="FILE", help="The authority that signs the nodes'.")
]

bus = typer.Typer(no_args_is_help=True, help="Look at the bus of a running node.")
app.add_typer(bus, name="bus")


@bus.callback()
def bus_options() -> None:
    """Look at the bus of a running node."""


@bus.command("tail")
def bus_tail(
    address: BusAddress,
    secret_file: SecretFile = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    tls_ca: TlsCa = None,
    json: Json = False,
) -> None:
    """Print what a node sends and receives, until it ends or Ctrl-C."""
    from .tailing import tail_bus

    _done(tail_bus(address, secret_file, (tls_cert, tls_key, tls_ca), json))


cluster = typer.Typer(no_args_is_help=True, help="Look at a running cluster, and operate it.")
app.add_typer(cluster, name="cluster")


@cluster.callback()
def cluster_options() -> None:
    """Look at a running cluster, and operate it."""


@cluster.command("status")
def cluster_status(
    address: BusAddress,
    secret_file: SecretFile = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    tls_ca: TlsCa = None,
    json: Json = False,
) -> None:
    """Print the members, and how far they are, as one node sees them."""
    from .clustering import show_status
    from .dialling import Door

    _done(show_status(Door(address, secret_file, (tls_cert, tls_key, tls_ca)), json))


@cluster.command("remove")
def cluster_remove(
    address: BusAddress,
    member: Annotated[str, typer.Argument(metavar="ID", help="A member that is dead or left.")],
    secret_file: SecretFile = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    tls_ca: TlsCa = None,
) -> None:
    """Take a member that will not come back out of the ring."""
    from .clustering import command
    from .dialling import Door

    _done(command(Door(address, secret_file, (tls_cert, tls_key, tls_ca)), "remove", member))


@cluster.command("leave")
def cluster_leave(
    address: BusAddress,
    secret_file: SecretFile = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    tls_ca: TlsCa = None,
) -> None:
    """Have a node stop, and leave its cluster for good."""
    from .clustering import command
    from .dialling import Door

    _done(command(Door(address, secret_file, (tls_cert, tls_key, tls_ca)), "leave"))


@app.command()
def backup(
    address: BusAddress,
    output: Annotated[
        str, typer.Option("-o", "--output", metavar="FILE", help="Where to write it.")
    ],
    secret_file: SecretFile = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    tls_ca: TlsCa = None,
) -> None:
    """Write the memory of a running node, as it is at one commit, to a file."""
    from .copying import back_up
    from .dialling import Door

    _done(back_up(Door(address, secret_file, (tls_cert, tls_key, tls_ca)), output))


@app.command()
def restore(
    file: Annotated[str, typer.Argument(metavar="FILE", help="What `backup` has written.")],
    data: Annotated[str, typer.Option(metavar="DIR", help="The folder to make, or an empty one.")],
) -> None:
    """Make a fresh data directory of a backup: a node on it founds a cluster."""
    from .copying import restore_data

    _done(restore_data(file, data))


@app.command()
def migrate(
    old: Annotated[str, typer.Argument(metavar="OLD", help="The .cell file that runs.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="The .cell file that shall run.")],
    check: Annotated[bool, typer.Option("--check", help="Say what would change.")] = False,
    json: Json = False,
) -> None:
    """Say what of the data a new version would orphan or read wrongly."""
    from .migrating import check_migration

    _done(check_migration(old, new, check, json))
