"""`tillpost submit`: one paid order from a JSON file to the register, once.

With `--json`: {"ok": true, "connection", "pos_order", "menu_imported"}, or {"ok": false,
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
from tillpost.cli.output import show_facts, show_json, tell
from tillpost.client.hooks import Watcher
from tillpost.models.money import format_money
from tillpost.models.order import Order, PosOrder, PosState

__all__ = ["submit"]

_STATES = {
    PosState.RECEIVED: "received: the platform has it; that the register has it too isn't shown yet",
    PosState.ACCEPTED: "accepted: the register has it",
    PosState.REJECTED: "rejected: staff turned it down; the customer has to be paid back",
    PosState.CANCELLED: "cancelled",
}

INTERRUPTED = "interrupted; the order may be there: submit it again to find out"


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
            help="Promise that this order was never sent before; it saves a look for it where the platform takes no "
            "keys. If it was sent all the same, such a platform may cook it twice.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Bring a paid order to the register, once.

    Submitting the same order again, without --new, never makes a second one. When it can't be
    delivered, what happened is printed, and who must act.
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
    if as_json:
        facts = {"pos_order": pos_order, "menu_imported": bool(watcher.imports)}
        show_json({"ok": True, "connection": settings.name, **facts})
    else:
        _show(order, pos_order, healed=bool(watcher.imports))


def _show(order: Order, pos_order: PosOrder, *, healed: bool) -> None:
    tell(f"Order {order.code} is at the POS", "bold green")
    healing = "it had drifted; it was imported again, and the order bound to it" if healed else ""
    show_facts(
        (
            ("Your order", order.id),
            ("Order at the POS", pos_order.id),
            (
                "Total",
                format_money(
                    order.total if pos_order.total is None else pos_order.total, order.currency
                ),
            ),
            ("State", _STATES[pos_order.state]),
            ("Menu", healing),
            *(("Notice", notice) for notice in pos_order.notices),
        )
    )
