"""`tillpost key new|rotate`: the key that encrypts tokens in the database.

With `--json`, rotate prints {"ok", "sealed", "unreadable"}: the number of connections that were
re-encrypted, and the names of those whose tokens couldn't be read.
"""

from __future__ import annotations

import typer

from tillpost.cli.connection_option import AsJson, ConfigFile
from tillpost.cli.exit_codes import NOT_RIGHT, OK, CliError
from tillpost.cli.outbox_option import DatabaseUrl, need_outbox, opened
from tillpost.cli.output import print_line, show_json

__all__ = ["new", "rotate"]


def new() -> None:
    """Generate a key and print it.

    Store it in TILLPOST_KEY, apart from the database and its backups: anyone with both can submit
    orders in the stores' names. If the key is lost, the stores have to be reconnected.
    """
    need_outbox()
    from tillpost.outbox.connections.encryption import new_key

    typer.echo(new_key())


def rotate(db: DatabaseUrl = "", config: ConfigFile = "", as_json: AsJson = False) -> None:
    """Re-encrypt all tokens with the first key in TILLPOST_KEY.

    Set TILLPOST_KEY to "new,old" before. Afterwards the old key is no longer needed, unless tokens
    of a connection can't be read: then the connection is named, and the exit code is 1.
    """
    with opened(db, config) as outbox:
        from tillpost.outbox.connections.credentials import CredentialStore

        outbox.prepare()
        rotation = CredentialStore(outbox.database).rotate()
    unreadable = list(rotation.unreadable)
    if as_json:
        show_json({"ok": not unreadable, "sealed": rotation.encrypted, "unreadable": unreadable})
        raise typer.Exit(NOT_RIGHT if unreadable else OK)
    if unreadable:
        raise CliError(
            f"re-encrypted: {rotation.encrypted} connections. The tokens of"
            f" {', '.join(unreadable)} can't be read: keep the other keys and set the right one, or"
            " run `tillpost reconnect` for each",
            NOT_RIGHT,
        )
    print_line(
        f"Re-encrypted with the first key: {rotation.encrypted} connections. The other keys are no "
        "longer needed.",
        "bold green",
    )
