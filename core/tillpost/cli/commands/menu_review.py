"""`tillpost menu imports|accept|discard`: the outbox's menu imports.

With `--json`, imports prints {"ok", "imports": [{"connection", "at", "held", "settled", "changes",
"in_words"}]}. Accept and discard print {"ok", "connection", "settled", "changes", "in_words"}.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tillpost.cli.connection_option import AsJson, ConfigFile
from tillpost.cli.exit_codes import CliError
from tillpost.cli.outbox_option import DatabaseUrl, opened
from tillpost.cli.output import print_line, show_facts, show_json
from tillpost.models.local_time import local_time

if TYPE_CHECKING:
    from tillpost.outbox import Outbox, StoredImport

__all__ = ["accept", "discard", "imports"]

HeldMenu = Annotated[
    str,
    typer.Option(
        "--connection",
        "-c",
        metavar="NAME",
        help="The menu's connection; optional when only one menu is held.",
    ),
]


def imports(
    connection: Annotated[
        str,
        typer.Option("--connection", "-c", metavar="NAME", help="Only imports of this connection."),
    ] = "",
    most: Annotated[
        int, typer.Option("--most", min=1, max=10_000, help="How many imports to list at most.")
    ] = 20,
    db: DatabaseUrl = "",
    config: ConfigFile = "",
    as_json: AsJson = False,
) -> None:
    """List the outbox's menu imports, the latest first, and the menus held for review."""
    with opened(db, config) as outbox:
        found = outbox.imports(connection, most=most)
        held = outbox.held_connections()
    if as_json:
        rows = [{**_facts(one), "at": one.at, "held": one.held} for one in found]
        show_json({"ok": True, "imports": rows})
        return
    if not found:
        print_line("No imports.")
    for one in found:
        style = "bold red" if one.held else "bold"
        print_line(f"{local_time(one.at)}  {one.connection}{_review(one)}", style)
        _show_changes(one)
    for name in held:
        if connection in ("", name):
            print_line(
                f"The menu of {name} is held for review. Accept or discard it: tillpost menu "
                f"accept|discard --connection {name}",
                "bold red",
            )


def accept(
    connection: HeldMenu = "",
    db: DatabaseUrl = "",
    config: ConfigFile = "",
    as_json: AsJson = False,
) -> None:
    """Accept a held menu. From then on, orders are checked against it."""
    with opened(db, config) as outbox:
        name = _held_connection(outbox, connection)
        accepted = outbox.accept_menu(name)
    _show_review(name, accepted, "is now in use", as_json=as_json)


def discard(
    connection: HeldMenu = "",
    db: DatabaseUrl = "",
    config: ConfigFile = "",
    as_json: AsJson = False,
) -> None:
    """Discard a held menu. The menu before it stays in use."""
    with opened(db, config) as outbox:
        name = _held_connection(outbox, connection)
        discarded = outbox.discard_menu(name)
    _show_review(name, discarded, "was discarded", as_json=as_json)


def _held_connection(outbox: Outbox, connection: str) -> str:
    """Return the connection whose held menu is meant."""
    held = outbox.held_connections()
    if connection:
        if connection not in held:
            raise CliError(f"no menu of {connection} is held")
        return connection
    if not held:
        raise CliError("no menu is held")
    if len(held) > 1:
        raise CliError(
            f"several menus are held: {', '.join(held)}; choose a connection with --connection"
        )
    return held[0]


def _show_review(
    connection: str, reviewed: StoredImport | None, result: str, *, as_json: bool
) -> None:
    if reviewed is None:  # another person reviewed it in the meantime
        raise CliError(f"no menu of {connection} is held any more")
    if as_json:
        show_json({"ok": True, **_facts(reviewed)})
        return
    print_line(f"The held menu of {connection} {result}.", "bold green")
    show_facts(("", line) for line in reviewed.changes.in_words())


def _show_changes(one: StoredImport) -> None:
    lines = one.changes.in_words() or ("Nothing has changed.",)
    show_facts(("", line) for line in lines)


def _facts(one: StoredImport) -> dict[str, object]:
    return {
        "connection": one.connection,
        "settled": one.settled,
        "changes": one.changes,
        "in_words": one.changes.in_words(),
    }


def _review(one: StoredImport) -> str:
    """Return whether an import was held, and how it was reviewed."""
    if not one.held:
        return ""
    if not one.settled:
        return ": held"
    return f": held, then {one.settled}"
