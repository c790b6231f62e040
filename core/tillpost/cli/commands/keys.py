"""`tillpost key new` and `tillpost key rotate`: the key that encrypts tokens in the database.

With `--json`, rotate prints {"ok", "sealed"}: the number of connections that were re-encrypted.
"""

from __future__ import annotations

import typer

from tillpost.cli.connection_option import AsJson, ConfigFile
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

    Set TILLPOST_KEY to "new,old" before. Afterwards the old key is no longer needed.
    """
    with opened(db, config) as outbox:
        from tillpost.outbox.connections.credentials import CredentialStore

        outbox.prepare()
        count = CredentialStore(outbox.database).rotate()
    if as_json:
        show_json({"ok": True, "sealed": count})
        return
    print_line(
        f"Re-encrypted with the first key: {count} connections. The other keys are no longer "
        "needed.",
        "bold green",
    )
