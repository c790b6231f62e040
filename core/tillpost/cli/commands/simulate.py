"""`tillpost simulate PLATFORM`: a platform's simulator as an HTTP server.

It runs until Ctrl-C. It prints the address, and a connection for the TOML file. With `--json` that
is one object, printed once the server listens: {"platform", "url", "control", "ledger",
"register", "seed", "name", "connection", "application"}. The tokens and secrets it prints are the
simulator's own, made up; it accepts no others.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tillpost.adapter.base import Adapter
from tillpost.cli.connection_option import AsJson
from tillpost.cli.exit_codes import CliError
from tillpost.cli.input import read_model
from tillpost.cli.output import print_line, show_facts, show_json
from tillpost.cli.private_files import write_private
from tillpost.cli.simulators import make_simulator, need_simulators
from tillpost.models.safe_text import shell_option
from tillpost.plugins.manager import adapter_named

if TYPE_CHECKING:
    from tillpost.simulator import FaultPlan, Simulator

__all__ = ["simulate"]

_MARK = "# Written by `tillpost simulate`, which overwrites it.\n"

_Platform = Annotated[
    str, typer.Argument(metavar="PLATFORM", help="A platform that `tillpost adapters` lists.")
]
_Host = Annotated[str, typer.Option("--host", help="The address to listen at.")]
_Port = Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes any free one.")]
_Rate = Annotated[
    float,
    typer.Option(
        "--faults",
        min=0,
        max=1,
        metavar="RATE",
        help="The share of requests that fail: 0.25 is 1 in 4.",
    ),
]
_Seed = Annotated[int, typer.Option("--seed", help="The same seed draws the same faults.")]
_Script = Annotated[
    str,
    typer.Option(
        "--script",
        metavar="FILE",
        help="A fault plan in JSON: which requests fail, and how.",
    ),
]
_Items = Annotated[
    int,
    typer.Option(
        "--items", min=0, help="How many items its menu has beside its usual ones: 10000 is large."
    ),
]
_Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="A setting of the store, such as currency=USD or tax_percentage=8.875. Can be "
        "repeated.",
    ),
]
_Name = Annotated[str, typer.Option("--name", help="The connection's name. [PLATFORM-simulator]")]
_WriteConfig = Annotated[
    str,
    typer.Option(
        "--write-config",
        metavar="FILE",
        help="Write the connection into a TOML file of its own.",
    ),
]


def simulate(
    platform: _Platform,
    host: _Host = "127.0.0.1",
    port: _Port = 0,
    faults: _Rate = 0.0,
    seed: _Seed = 0,
    script: _Script = "",
    items: _Items = 0,
    settings: _Set = None,
    name: _Name = "",
    write_config: _WriteConfig = "",
    as_json: AsJson = False,
) -> None:
    """Run a platform's simulator, with state and faults, until Ctrl-C.

    Nothing leaves this machine.
    """
    need_simulators()
    from tillpost.simulator import FaultPlan, serve

    plan = read_model(FaultPlan, script) if script else FaultPlan()
    update = {
        "rate": faults or plan.rate,
        "seed": seed or plan.seed,
    }
    plan = plan.model_copy(update=update)
    adapter = adapter_named(platform)
    simulator = make_simulator(adapter, plan, items=items, settings=_read_settings(settings or []))
    connection_name = name or f"{platform}-simulator"

    def ready(url: str) -> None:
        toml = _toml(connection_name, platform, simulator.connection_settings(url))
        if write_config:
            _write_config(write_config, toml)
        if as_json:
            show_json(_json_facts(simulator, platform, url, plan, connection_name))
            return
        _introduce(adapter, url, plan)
        print_line(f"Connect to it with this in {write_config or 'tillpost.toml'}:")
        typer.echo(f"\n{toml}")
        _show_next_steps(simulator, connection_name)

    try:
        asyncio.run(serve(simulator, host, port, ready))
    except OSError as error:
        raise CliError(f"can't listen at {host}:{port}: {error.strerror or error}") from None
    if not as_json:
        print_line(f"The simulator has ended: {simulator.ledger().summary()}")


def _read_settings(options: Sequence[str]) -> Mapping[str, str]:
    settings: dict[str, str] = {}
    for option in options:
        name, separator, value = option.partition("=")
        if not separator:
            raise CliError(f"--set takes NAME=VALUE, such as currency=USD, not {option!r}")
        settings[name] = value
    return settings


def _json_facts(
    simulator: Simulator,
    platform: str,
    url: str,
    plan: FaultPlan,
    connection_name: str,
) -> dict[str, object]:
    settings = simulator.connection_settings(url)
    return {
        "platform": platform,
        "url": url,
        "control": f"{url}/_simulator/",
        "ledger": f"{url}/_simulator/ledger",
        "register": f"{url}/_simulator/register",
        "seed": plan.seed,
        "name": connection_name,
        "connection": {"platform": platform, **settings},
        "application": simulator.application(),
    }


def _introduce(adapter: type[Adapter[Any]], url: str, plan: FaultPlan) -> None:
    title = f"{adapter.title} simulator at {url} (a simulator: nothing leaves this machine)"
    print_line(title, "bold green")
    facts = (
        ("Ledger", f"{url}/_simulator/ledger"),
        ("Register", f"{url}/_simulator/register"),
        ("Control", f"{url}/_simulator/"),
        ("Faults", _describe_faults(plan)),
    )
    show_facts(facts)


def _show_next_steps(simulator: Simulator, connection_name: str) -> None:
    application = simulator.application()
    if application:
        listed = ", ".join(f"{setting} {value}" for setting, value in application.items())
        print_line(f"Its OAuth application, for tillpost connect: {listed}.")
    command = f"tillpost submit order.json {shell_option('--connection', connection_name)}"
    print_line(f"Then: {command}. Ctrl-C ends the simulator.")


def _describe_faults(plan: FaultPlan) -> str:
    parts: list[str] = []
    if plan.rate:
        parts.append(f"{plan.rate:.0%} of requests, seed {plan.seed}")
    if plan.rules:
        parts.append(f"{len(plan.rules)} by script")
    return "; ".join(parts) or "none"


def _toml(name: str, platform: str, settings: Mapping[str, str]) -> str:
    is_bare_key = re.fullmatch(r"[A-Za-z0-9_-]+", name)
    key = name if is_bare_key else json.dumps(name)
    lines = [f"[connections.{key}]"]
    for setting, value in {"platform": platform, **settings}.items():
        text = json.dumps(value)
        lines.append(f"{setting} = {text}")
    return "\n".join(lines) + "\n"


def _write_config(path: str, toml: str) -> None:
    """Write the file, unless it exists and wasn't written by this command.

    A file that was written by hand may hold the only copy of a token.
    """
    file = Path(path)
    try:
        if file.exists() and not file.read_text(encoding="utf-8").startswith(_MARK):
            raise CliError(f"{path} already exists; name another file with --write-config")
        write_private(file, _MARK + toml)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "cannot be written"
        raise CliError(f"{path}: {reason}") from None
