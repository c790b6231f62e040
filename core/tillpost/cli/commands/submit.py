"""`tillpost submit`: submit one paid order from a JSON file.

With `--json` it prints {"ok": true, "connection", "pos_order", "menu_imported"}, or {"ok": false,
"connection", "error", "remedy", "exit_code"}.
"""

from __future__ import annotations

from typing import Annotated

import typer

from tillpost.cli.connection_option import (
    AsJson,
    ConfigFile,
    ConnectionName,
    select_connection,
    work_on,
)
from tillpost.cli.input import read_model
from tillpost.cli.outbox_option import DatabaseUrl
from tillpost.cli.output import print_line, show_facts, show_json
from tillpost.client.hooks import Watcher
from tillpost.models.money import format_money
from tillpost.models.order import Order, PosOrder, PosState

__all__ = ["submit"]

_STATES = {
    PosState.RECEIVED: "received by the platform; not yet confirmed by the register",
    PosState.ACCEPTED: "accepted at the register",
    PosState.REJECTED: "rejected by staff; what the customer paid has to be refunded",
    PosState.CANCELLED: "cancelled",
}

INTERRUPTED = "interrupted; the order may exist. Submit it again to find out"


def submit(
    order_file: Annotated[
        str, typer.Argument(metavar="ORDER.JSON", help="The order; - reads standard input.")
    ],
    connection: ConnectionName = "",
    db: DatabaseUrl = "",
    config: ConfigFile = "",
    is_new: Annotated[
        bool,
        typer.Option(
            "--new",
            help="Promise that the order was never sent before. This saves a look-up on platforms "
            "without idempotency keys, which may make the order twice if the promise is wrong.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Submit a paid order.

    Submitting the same order again, without --new, never creates a second one. If the order can't
    be delivered, the output says why and who must act.
    """
    settings = select_connection(connection, config, db)
    order = read_model(Order, order_file)
    watcher = Watcher()
    pos_order = work_on(
        settings,
        lambda till: till.submit(order, is_new=is_new),
        doing=f"Submitting order {order.code}",
        failed=f"Order {order.code} wasn't delivered",
        as_json=as_json,
        interrupted=INTERRUPTED,
        about_order=True,
        watcher=watcher,
    )
    menu_imported = bool(watcher.imports)
    if as_json:
        facts = {"pos_order": pos_order, "menu_imported": menu_imported}
        show_json({"ok": True, "connection": settings.name, **facts})
    else:
        _show(order, pos_order, menu_imported=menu_imported)


def _show(order: Order, pos_order: PosOrder, *, menu_imported: bool) -> None:
    total = order.total if pos_order.total is None else pos_order.total
    menu = "the menu was stale; it was re-imported, and the order was matched to it"
    notices = [("Notice", notice) for notice in pos_order.notices]
    print_line(f"Order {order.code} is at the POS", "bold green")
    facts = (
        ("Your order", order.id),
        ("Order at the POS", pos_order.id),
        ("Total", format_money(total, order.currency)),
        ("State", _STATES[pos_order.state]),
        ("Menu", menu if menu_imported else ""),
        *notices,
    )
    show_facts(facts)
