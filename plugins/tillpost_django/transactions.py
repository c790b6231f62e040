"""The outbox in Django's database, and adding orders to it."""

from __future__ import annotations

import os
import threading
from typing import Any

from django.db import connections, transaction

from tillpost import Order
from tillpost.outbox import DatabaseError, Outbox, StoredOrder
from tillpost.outbox.db.driver_connection import DriverConnection
from tillpost_django.settings import database_url, load_settings

__all__ = ["add", "outbox"]

_opened: dict[tuple[int, str, str], Outbox] = {}
_lock = threading.Lock()


def outbox(using: str = "") -> Outbox:
    """Return this process's outbox in a database of Django's. It stays open.

    Args:
        using: The database's alias; by default `TILLPOST["USING"]`, else "default".

    Raises:
        ImproperlyConfigured: a setting is wrong, or the database is neither a SQLite file nor
            PostgreSQL.
        ConfigError: a setting in the TOML file is wrong.
    """
    settings = load_settings()
    url = database_url(using or settings.using)
    # A test runner changes the database of an alias, and a process that forks opens its own.
    key = (os.getpid(), url.get_secret_value(), str(settings.config))
    with _lock:
        if key not in _opened:
            _opened[key] = Outbox.from_config(settings.config, url=url)
        return _opened[key]


def add(order: Order, *, connection: str, using: str = "", is_new: bool = False) -> StoredOrder:
    """Add a paid order, to be submitted to the store's POS.

    Within `transaction.atomic()` the order joins Django's transaction: it is added if and when that
    is committed. Otherwise it is on disk when the function returns. Adding the same order again
    returns the one that was added before.

    Args:
        order: The order.
        connection: The name of the store's connection.
        using: The alias of the database; by default `TILLPOST["USING"]`, else "default".
        is_new: As for `Outbox.add`.

    Raises:
        OrderError: the order isn't valid, or another was added under its id; the transaction can go
            on.
        DatabaseError: the order wasn't added; Django rolls the transaction back.
        TransactionManagementError: an earlier failure broke the transaction.
        ImproperlyConfigured: as for `outbox`.
    """
    alias = using or load_settings().using
    django: Any = connections[alias]
    tillpost = outbox(alias)
    if not django.in_atomic_block and django.get_autocommit():
        return tillpost.add(order, connection=connection, is_new=is_new)
    django.validate_no_broken_transaction()
    # Opening a cursor opens the driver's connection, or replaces one that is lost.
    with django.cursor():
        driver: DriverConnection = django.connection
    try:
        return tillpost.add(order, connection=connection, session=driver, is_new=is_new)
    except DatabaseError:
        # PostgreSQL ends a transaction in which a statement failed, and Django doesn't know yet.
        if django.in_atomic_block:
            transaction.set_rollback(True, using=alias)
        raise
