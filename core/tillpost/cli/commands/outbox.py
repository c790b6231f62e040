"""`tillpost outbox add`, `migrate`, `erase` and `prune`: an order by hand, and the care of the outbox's database.

With `--json`, add prints {"ok", "connection", "order": see `orders`}, or what `submit` prints of an
order that is refused; migrate {"ok", "db", "changed"}; erase {"ok", "db", "days", "orders"}; prune
{"ok", "db", "days", "events"}.
"""

from __future__ import annotations

from typing import Annotated

import typer

from tillpost.cli.connection_option import (
    AsJson,
    ConfigFile,
    ConnectionName,
    fail,
    select_connection,
)
from tillpost.cli.input import read_model
from tillpost.cli.outbox_option import DatabaseUrl, name_of, need_outbox, opened
from tillpost.cli.output import progress, show_facts, show_json, tell
from tillpost.errors import PosError
from tillpost.models.money import format_money
from tillpost.models.order import Order

__all__ = ["add", "erase", "migrate", "prune"]

Days = Annotated[
    float,
    typer.Option(
        "--days", min=0, metavar="N", help="Orders that are done and came more than N days ago."
    ),
]


def add(
    order_file: Annotated[
        str, typer.Argument(metavar="ORDER.JSON", help="The order; - reads standard input.")
    ],
    connection: ConnectionName = "",
    is_new: Annotated[
        bool,
        typer.Option(
            "--new",
            help="Promise that this order was never sent before; it can save a look for it.",
        ),
    ] = False,
    db: DatabaseUrl = "",
    config: ConfigFile = "",
    as_json: AsJson = False,
) -> None:
    """Add a paid order to the outbox. It is on disk then, and a worker brings it to the register.

    The same order added again is the same order.
    """
    need_outbox()
    from tillpost.cli.commands.orders import order_facts, state_in_words

    settings = select_connection(connection, config, db, new=True)
    order = read_model(Order, order_file)
    with opened(db, config, new=True) as outbox:
        try:
            with progress(f"Adding order {order.code}"):
                stored = outbox.add(order, connection=settings.name, is_new=is_new)
        except PosError as error:
            fail(settings, error, f"Order {order.code} wasn't added", as_json=as_json)
        if as_json:
            show_json({"ok": True, "connection": settings.name, "order": order_facts(stored)})
            return
        tell(f"Order {order.code} is in the outbox", "bold green")
        show_facts(
            (
                ("Your order", order.id),
                ("Connection", stored.connection),
                ("Total", format_money(order.total, order.currency)),
                ("State", state_in_words(stored)),
                ("Database", name_of(outbox.database)),
            )
        )


def migrate(db: DatabaseUrl = "", config: ConfigFile = "", as_json: AsJson = False) -> None:
    """Bring an outbox's database to this version. A new one is made by itself, at its first use."""
    with opened(db, config, new=True) as outbox:
        with progress("Bringing the database to this version"):
            changed = outbox.migrate()
        where = name_of(outbox.database)
    if as_json:
        show_json({"ok": True, "db": where, "changed": changed})
    else:
        tell(f"{where} {'is now' if changed else 'was already'} of this version.", "bold green")


def erase(
    days: Days, db: DatabaseUrl = "", config: ConfigFile = "", as_json: AsJson = False
) -> None:
    """Erase what customers told us from orders that are done: names, contents, codes. The journals stay.

    An order that is added again afterwards is still known as the same. `[outbox] erase_after_days`
    does it daily.
    """
    with opened(db, config) as outbox:
        from tillpost.outbox.worker.retention import erase as erase_orders

        with progress("Erasing"):
            count = erase_orders(outbox, days)
        where = name_of(outbox.database)
    if as_json:
        show_json({"ok": True, "db": where, "days": days, "orders": count})
    else:
        tell(f"Customers' data was erased from {count} orders.", "bold green")


def prune(
    days: Days, db: DatabaseUrl = "", config: ConfigFile = "", as_json: AsJson = False
) -> None:
    """Delete the journals of orders that are done. The orders themselves stay.

    `[outbox] prune_after_days` does it daily.
    """
    with opened(db, config) as outbox:
        from tillpost.outbox.worker.retention import prune as prune_journals

        with progress("Pruning"):
            count = prune_journals(outbox, days)
        where = name_of(outbox.database)
    if as_json:
        show_json({"ok": True, "db": where, "days": days, "events": count})
    else:
        tell(f"{count} events were deleted from the journals.", "bold green")
