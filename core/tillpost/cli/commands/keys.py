"""`tillpost key new` and `tillpost key rotate`: the key that the tokens in the outbox's database are sealed with."""

from __future__ import annotations

import typer

from tillpost.cli.connection_option import AsJson, ConfigFile
from tillpost.cli.outbox_option import DatabaseUrl, need_outbox, opened
from tillpost.cli.output import show_json, tell

__all__ = ["new", "rotate"]


def new() -> None:
    """Make a key, and print it. Keep it in TILLPOST_KEY, safe, and apart from the database and its copies.

    Whoever has both can submit orders in the stores' names; without it the stores have to be
    connected again.
    """
    need_outbox()
    from tillpost.outbox.connections.encryption import new_key

    typer.echo(new_key())


def rotate(db: DatabaseUrl = "", config: ConfigFile = "", as_json: AsJson = False) -> None:
    """Seal all tokens with the first of the keys in TILLPOST_KEY: "new,old". The old one can go then, everywhere."""
    with opened(db, config) as outbox:
        from tillpost.outbox.connections.credentials import CredentialStore

        outbox.prepare()
        sealed = CredentialStore(outbox.database).rotate()
    if as_json:
        show_json({"ok": True, "sealed": sealed})
    else:
        tell(
            f"Sealed with the first key: {sealed} connections. The other keys aren't needed any more.",
            "bold green",
        )
