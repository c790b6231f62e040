"""`tillpost simulate PLATFORM`: a platform's simulator as a real HTTP server, until Ctrl-C.

It prints where it listens, and a connection ready for the TOML file. With `--json` that is one
object, printed once it listens: {"platform", "url", "control", "ledger", "name", "connection",
"application", "seed"}. What it prints are the simulator's own tokens and secrets, made up; it
accepts no others.
"""

from __future__ import annotations

import asyncio
import json
import re
import shlex
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from tillpost.adapter.base import Adapter
from tillpost.cli.connection_option import AsJson
from tillpost.cli.exit_codes import CliError
from tillpost.cli.input import read_model
from tillpost.cli.output import show_facts, show_json, tell
from tillpost.plugins.manager import adapter_named, factories

if TYPE_CHECKING:
    from tillpost.simulator import FaultPlan, Simulator

__all__ = ["make_simulator", "need_simulators", "simulate"]

_MARK = "# Written by `tillpost simulate`, and overwritten by it.\n"


def simulate(
    platform: Annotated[
        str, typer.Argument(metavar="PLATFORM", help="Such as `tillpost adapters` lists.")
    ],
    host: Annotated[str, typer.Option("--host", help="The address to listen at.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="0 takes any free one.")
    ] = 0,
    faults: Annotated[
        float,
        typer.Option(
            "--faults",
            min=0,
            max=1,
            metavar="RATE",
            help="How many requests go wrong: 0.25 is 1 in 4.",
        ),
    ] = 0.0,
    seed: Annotated[int, typer.Option("--seed", help="The same seed brings the same faults.")] = 0,
    script: Annotated[
        str,
        typer.Option(
            "--script",
            metavar="FILE",
            help="A fault plan in JSON: which requests go wrong, and how.",
        ),
    ] = "",
    name: Annotated[
        str, typer.Option("--name", help="The connection's name. [PLATFORM-simulator]")
    ] = "",
    write_config: Annotated[
        str,
        typer.Option(
            "--write-config",
            metavar="FILE",
            help="Write the connection into a TOML file of its own.",
        ),
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Run a platform's simulator, with state and faults, until Ctrl-C. Nothing leaves this machine."""
    need_simulators()
    from tillpost.simulator import FaultPlan, serve

    plan = read_model(FaultPlan, script) if script else FaultPlan()
    plan = plan.model_copy(update={"rate": faults or plan.rate, "seed": seed or plan.seed})
    adapter = adapter_named(platform)
    simulator = make_simulator(adapter, plan)
    name = name or f"{platform}-simulator"

    def ready(url: str) -> None:
        settings = simulator.connection_settings(url)
        control = f"{url}/_simulator/"
        toml = _toml(name, platform, settings)
        if write_config:
            _write(write_config, toml)
        if as_json:
            where = {
                "url": url,
                "control": control,
                "ledger": f"{control}ledger",
                "seed": plan.seed,
            }
            connection = {"platform": platform, **settings}
            whose = {"connection": connection, "application": simulator.application()}
            show_json({"platform": platform, **where, "name": name, **whose})
            return
        tell(
            f"{adapter.title} simulator at {url} (a simulator: nothing leaves this machine)",
            "bold green",
        )
        show_facts(
            (("Ledger", f"{control}ledger"), ("Control", control), ("Faults", _describe(plan)))
        )
        tell(f"Connect to it by this in {write_config or 'tillpost.toml'}:")
        typer.echo(f"\n{toml}")
        if application := simulator.application():
            named = ", ".join(f"{setting} {value}" for setting, value in application.items())
            tell(f"Its OAuth application, for tillpost connect: {named}.")
        tell(
            f"Then: tillpost submit order.json --connection {shlex.quote(name)}. Ctrl-C ends the simulator."
        )

    try:
        asyncio.run(serve(simulator, host, port, ready))
    except OSError as error:
        raise CliError(f"can't listen at {host}:{port}: {error.strerror or error}") from None
    if not as_json:
        tell(f"The simulator has ended: {simulator.ledger().summary()}")


def need_simulators() -> None:
    """Raise `CliError` that says what to install when the extra for simulators is missing."""
    if find_spec("aiohttp") is None:
        raise CliError("simulators need an extra: pip install 'tillpost[simulator]'")


def make_simulator(adapter: type[Adapter[Any]], faults: FaultPlan | None = None) -> Simulator:
    """Return a new simulator of the adapter's platform, with that fault plan."""
    make = factories("platform_simulators").get(adapter.platform)
    if make is None:
        raise CliError(f"{adapter.platform} has no simulator")
    return cast("Simulator", make(faults=faults))


def _describe(plan: FaultPlan) -> str:
    by_rate = f"{plan.rate:.0%} of requests, seed {plan.seed}" if plan.rate else ""
    by_script = f"{len(plan.rules)} by script" if plan.rules else ""
    return "; ".join(part for part in (by_rate, by_script) if part) or "none"


def _toml(name: str, platform: str, settings: Mapping[str, str]) -> str:
    key = name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name)
    values = "".join(f"{setting} = {json.dumps(value)}\n" for setting, value in settings.items())
    return f"[connections.{key}]\nplatform = {json.dumps(platform)}\n{values}"


def _write(path: str, toml: str) -> None:
    """Write the file, unless it is somebody else's: a file written by hand may hold the only copy of a token."""
    file = Path(path)
    try:
        if file.exists() and not file.read_text(encoding="utf-8").startswith(_MARK):
            raise CliError(f"{path} is there already; name another file with --write-config")
        file.write_text(_MARK + toml, encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise CliError(
            f"{path}: {getattr(error, 'strerror', None) or 'cannot be written'}"
        ) from None
