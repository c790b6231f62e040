"""Connections that the outbox's database knows, for the commands that work on one without the outbox.

Where there is a database, its tokens win over the TOML file's, and renewed ones are kept there, as
a worker does. No database is made here.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from tillpost.cli.outbox_option import opened_if_there
from tillpost.client.sync import Till

__all__ = ["kept_platforms", "kept_till"]


def kept_platforms(db: str, config: str, *, new: bool = False) -> Mapping[str, str] | None:
    """Return the platforms of the connections in the database, by the connections' names; None without a database.

    A database that `--db` names has to be there, unless it may be `new`.
    """
    with opened_if_there(db, config, new=new) as outbox:
        if outbox is None:
            return None
        from tillpost.outbox.connections.credentials import CredentialStore

        return {
            name: stored.platform for name, stored in CredentialStore(outbox.database).all().items()
        }


@contextmanager
def kept_till(name: str, db: str, config: str, hooks: Iterable[object]) -> Generator[Till]:
    """Open a connection of the file or of the database, which is there. Raises `ConfigError`."""
    with opened_if_there(db, config) as outbox, ExitStack() as stack:
        assert outbox
        from tillpost.outbox.connections.credentials import CredentialStore
        from tillpost.outbox.connections.token_refresh import RenewedTill
        from tillpost.outbox.delivery.sources import FromFileAndDatabase
        from tillpost.outbox.orders.heartbeat import Heartbeat

        life = Heartbeat(outbox.workers, outbox.settings.lease)
        stack.push(life)
        # Whoever renews a token is a worker, who is buried when it dies at that.
        found = FromFileAndDatabase(CredentialStore(outbox.database), outbox.config, life.enlisted)(
            name
        )
        options = replace(found.options, name=name, hooks=tuple(hooks))
        yield stack.enter_context(RenewedTill(found.adapter, options, found.renewal))
