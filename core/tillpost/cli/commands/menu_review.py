"""`tillpost menu imports`, `accept` and `discard`: what menu imports changed in the outbox, and those that are held.

With `--json`, imports prints {"ok", "imports": [{"connection", "at", "held", "settled", "changes",
"in_words"}]}, and accept and discard print {"ok", "connection", "settled", "changes", "in_words"}.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tillpost.cli.connection_option import AsJson, ConfigFile
from tillpost.cli.exit_codes import CliError
from tillpost.cli.outbox_option import DatabaseUrl, moment, opened
from tillpost.cli.output import show_facts, show_json, tell

if TYPE_CHECKING:
    from tillpost.outbox import Outbox, StoredImport

__all__ = ["accept", "discard", "imports"]

WhoseMenu = Annotated[
    str,
    typer.Option(
        "--connection", "-c", metavar="NAME", help="Whose menu; may be left out when one is held."
    ),
]


def imports(
    connection: Annotated[
        str, typer.Option("--connection", "-c", metavar="NAME", help="Of one connection.")
    ] = "",
    most: Annotated[int, typer.Option("--most", min=1, max=10_000, help="How many at most.")] = 20,
    db: DatabaseUrl = "",
    config: ConfigFile = "",
    as_json: AsJson = False,
) -> None:
    """Show what the outbox's menu imports have changed, the latest first, and which is held for a person."""
    with opened(db, config) as outbox:
        found = outbox.imports(connection, most=most)
        waiting = outbox.held_connections()
    if as_json:
        show_json(
            {
                "ok": True,
                "imports": [{**_facts(one), "at": one.at, "held": one.held} for one in found],
            }
        )
        return
    if not found:
        tell("No imports.")
    for one in found:
        tell(
            f"{moment(one.at)}  {one.connection}{_ending(one)}", "bold red" if one.held else "bold"
        )
        show_facts(("", line) for line in one.changes.in_words() or ("Nothing has changed.",))
    for name in waiting:
        if not connection or name == connection:
            tell(
                f"The menu of {name} is held: tillpost menu accept, or discard, --connection {name}",
                "bold red",
            )


def accept(
    connection: WhoseMenu = "",
    db: DatabaseUrl = "",
    config: ConfigFile = "",
    as_json: AsJson = False,
) -> None:
    """Put a held menu in force: so much of the old one is really gone. Orders are checked against it from then on."""
    with opened(db, config) as outbox:
        name = _whose(outbox, connection)
        _tell(name, outbox.accept_menu(name), "is in force", as_json=as_json)


def discard(
    connection: WhoseMenu = "",
    db: DatabaseUrl = "",
    config: ConfigFile = "",
    as_json: AsJson = False,
) -> None:
    """Let a held menu go: what it lacks was a fault at the platform. The menu before it stays in force."""
    with opened(db, config) as outbox:
        name = _whose(outbox, connection)
        _tell(name, outbox.discard_menu(name), "was let go", as_json=as_json)


def _whose(outbox: Outbox, connection: str) -> str:
    waiting = outbox.held_connections()
    if not connection and len(waiting) > 1:
        raise CliError(
            f"whose menu? Name one with --connection; held are those of: {', '.join(waiting)}"
        )
    if not waiting or (connection and connection not in waiting):
        raise CliError(f"no menu of {connection} is held" if connection else "no menu is held")
    return connection or waiting[0]


def _tell(connection: str, settled: StoredImport | None, ending: str, *, as_json: bool) -> None:
    if settled is None:  # somebody else was faster
        raise CliError(f"no menu of {connection} is held any more")
    if as_json:
        show_json({"ok": True, **_facts(settled)})
        return
    tell(f"The held menu of {connection} {ending}.", "bold green")
    show_facts(("", line) for line in settled.changes.in_words())


def _facts(one: StoredImport) -> dict[str, object]:
    return {
        "connection": one.connection,
        "settled": one.settled,
        "changes": one.changes,
        "in_words": one.changes.in_words(),
    }


def _ending(one: StoredImport) -> str:
    return f": held{f', then {one.settled}' if one.settled else ''}" if one.held else ""
