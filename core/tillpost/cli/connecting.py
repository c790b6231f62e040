"""The connection that a command works on: which one, opened as a Till, and how its trouble is shown.

`work_on` is the one way there: it shows that something is under way, and turns what a platform refuses into a text or
JSON with the right exit code. The option types that several commands take are here too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, NoReturn, TypeVar

import typer
from rich.status import Status
from rich.text import Text

from tillpost.cli.exits import INTERRUPTED, Stop, code_for
from tillpost.cli.showing import error_facts, progress, show_error, show_json
from tillpost.config import ConnectionSettings, config_path, load_connections
from tillpost.errors import ConfigError, PosError
from tillpost.hookspecs import hookimpl
from tillpost.menu_changes import MenuChanges
from tillpost.till import Options, Till, adapter_for

__all__ = ["AsJson", "ConfigFile", "ConnectionName", "Watcher", "chosen", "fail", "work_on"]

T = TypeVar("T")

ConnectionName = Annotated[
    str,
    typer.Option("--connection", "-c", metavar="NAME", help="Which connection; may be left out when there is one."),
]
ConfigFile = Annotated[
    str,
    typer.Option(
        "--config", metavar="FILE", help="The TOML file with the connections. [TILLPOST_CONFIG, tillpost.toml]"
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON with stable keys, for programs.")]


class Watcher:
    """Hears what a Till does by itself, and says so while it is under way. `imports` keeps what each import changed."""

    def __init__(self) -> None:
        self.imports: list[MenuChanges] = []
        self.status: Status | None = None

    def say(self, text: str) -> None:
        """Show what is being done now."""
        if self.status:
            self.status.update(Text(text))

    @hookimpl
    def menu_error(self) -> None:
        """The order and the menu don't fit."""
        self.say("The order and the menu don't fit; importing the menu")

    @hookimpl
    def menu_imported(self, changes: MenuChanges) -> None:
        """The menu was imported."""
        self.imports.append(changes)


def chosen(name: str, config: str) -> ConnectionSettings:
    """Return the connection of that name, or the only one there is; raise `Stop` that lists those there are."""
    connections = load_connections(config or None)
    there = f"{config_path(config)} has: {', '.join(connections)}"
    if not name and len(connections) == 1:
        return next(iter(connections.values()))
    if not name:
        raise Stop(f"which connection? Name one with --connection; {there}")
    if name not in connections:
        raise Stop(f"no connection {name!r}; {there}")
    return connections[name]


def work_on(
    connection: ConnectionSettings,
    work: Callable[[Till], T],
    *,
    doing: str,
    failed: str,
    as_json: bool,
    interrupted: str = "interrupted",
    about_order: bool = False,
    watcher: Watcher | None = None,
) -> T:
    """Open the connection, do the work and return its result; show a `PosError` and exit with its code.

    `doing` and `failed` say in words what is under way, and that it went wrong; `interrupted` is the line for Ctrl-C.
    `about_order` says that an order's fate is to be told with an error.
    """
    watcher = watcher or Watcher()
    platform, settings = connection.platform, connection.settings
    try:
        adapter = adapter_for(platform, settings)
    except ConfigError as error:
        raise Stop(f"{connection.source}: [connections.{connection.name}] {error}") from None
    options = Options(name=connection.name, policy=connection.policy, hooks=[watcher])
    try:
        with progress(doing) as watcher.status, Till(adapter, options) as till:
            return work(till)
    except KeyboardInterrupt:
        raise Stop(interrupted, INTERRUPTED) from None
    except PosError as error:
        fail(connection, error, failed, as_json=as_json, about_order=about_order)


def fail(
    connection: ConnectionSettings, error: PosError, failed: str, *, as_json: bool, about_order: bool = False
) -> NoReturn:
    """Show an error, and end the command with its exit code."""
    if as_json:
        show_json({"ok": False, "connection": connection.name, **error_facts(error)})
    else:
        show_error(error, failed, outcome=about_order)
    raise typer.Exit(code_for(error))
