"""The connection that a command works on: which one, opened as a Till, and how its trouble is shown.

It stands in the TOML file, or in the outbox's database where there is one, or in both: see `kept`.

`work_on` is the one way there: it shows that something is under way, and turns what a platform
refuses into a text or JSON with the right exit code. The option types that several commands take
are here too.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Annotated, NoReturn, TypeVar

import typer

from tillpost.cli.exit_codes import INTERRUPTED, CliError, code_for
from tillpost.cli.output import error_facts, progress, show_error, show_json
from tillpost.cli.stored_connections import kept_platforms, kept_till
from tillpost.client.base import Options, adapter_for
from tillpost.client.hooks import Watcher
from tillpost.client.sync import Till
from tillpost.config import ConnectionSettings, config_path, load_connections
from tillpost.errors import ConfigError, PosError
from tillpost.submission.policy import Policy

__all__ = [
    "AsJson",
    "Chosen",
    "ConfigFile",
    "ConnectionName",
    "Watcher",
    "chosen",
    "fail",
    "work_on",
]

T = TypeVar("T")

ConnectionName = Annotated[
    str,
    typer.Option(
        "--connection",
        "-c",
        metavar="NAME",
        help="Which connection; may be left out when there is one.",
    ),
]
ConfigFile = Annotated[
    str,
    typer.Option(
        "--config",
        metavar="FILE",
        help="The TOML file with the connections. [TILLPOST_CONFIG, tillpost.toml]",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON with stable keys, for programs.")]


@dataclass(frozen=True, slots=True)
class Chosen:
    """The connection that a command works on. `of_file` is what the TOML file says of it, None when that is nothing.

    `kept` says that there is a database, which may know it too; then `db` and `config` are as the
    command was given them.
    """

    name: str
    of_file: ConnectionSettings | None
    kept_platform: str
    kept: bool
    db: str
    config: str

    @property
    def platform(self) -> str:
        """The adapter's name."""
        return self.of_file.platform if self.of_file else self.kept_platform

    @property
    def policy(self) -> Policy:
        """How trouble is dealt with."""
        return self.of_file.policy if self.of_file else Policy()

    @contextmanager
    def opened(self, watcher: Watcher) -> Generator[Till]:
        """Open it. Raises `CliError` when it can't be made."""
        with ExitStack() as stack:
            try:
                if self.kept:
                    till = stack.enter_context(
                        kept_till(self.name, self.db, self.config, [watcher])
                    )
                else:
                    till = stack.enter_context(self._till_of_file(watcher))
            except ConfigError as error:
                where = f"{self.of_file.source}: [connections.{self.name}] " if self.of_file else ""
                raise CliError(where + str(error).removeprefix(where)) from None
            yield till

    def _till_of_file(self, watcher: Watcher) -> Till:
        assert self.of_file
        options = Options(name=self.name, policy=self.policy, hooks=[watcher])
        return Till(adapter_for(self.platform, self.of_file.settings), options)


def chosen(name: str, config: str, db: str, *, new: bool = False) -> Chosen:
    """Return the connection of that name, or the only one there is; raise `CliError` that lists those there are.

    `new` says that the command may be the first to use the database.
    """
    kept = kept_platforms(db, config, new=new)
    of_file = load_connections(config or None, needed=not kept)
    names = list(dict.fromkeys((*of_file, *(kept or ()))))
    there = f"{config_path(config)} has: {', '.join(of_file) or 'none'}"
    if kept:
        there += f"; the database has: {', '.join(kept)}"
    if not name and len(names) > 1:
        raise CliError(f"which connection? Name one with --connection; {there}")
    if name and name not in names:
        raise CliError(f"no connection {name!r}; {there}")
    name = name or names[0]
    return Chosen(name, of_file.get(name), (kept or {}).get(name, ""), kept is not None, db, config)


def work_on(
    connection: Chosen,
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

    `doing` and `failed` say in words what is under way, and that it went wrong; `interrupted` is
    the line for Ctrl-C. `about_order` says that an order's fate is to be told with an error.
    """
    watcher = watcher or Watcher()
    try:
        with connection.opened(watcher) as till, progress(doing) as watcher.status:
            return work(till)
    except KeyboardInterrupt:
        raise CliError(interrupted, INTERRUPTED) from None
    except PosError as error:
        fail(connection, error, failed, as_json=as_json, about_order=about_order)


def fail(
    connection: Chosen, error: PosError, failed: str, *, as_json: bool, about_order: bool = False
) -> NoReturn:
    """Show an error, and end the command with its exit code."""
    if as_json:
        show_json({"ok": False, "connection": connection.name, **error_facts(error)})
    else:
        show_error(error, failed, outcome=about_order)
    raise typer.Exit(code_for(error))
