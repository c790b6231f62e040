"""`tillpost outbox add|migrate|erase|prune`: add orders, maintain the database.

With `--json`, add prints {"ok", "connection", "order"} with an order as `orders` prints it, or what
`submit` prints of a refused order. Migrate prints {"ok", "db", "changed", "version", "steps"}: the
version before, and each step with its version, its text, the oldest version that programs must know
after it, and whether it stops others. Erase prints {"ok", "db", "days", "orders"}, and prune {"ok",
"db", "days", "events"}.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from tillpost.cli.connection_option import (
    AsJson,
    ConfigFile,
    ConnectionName,
    fail,
    select_connection,
)
from tillpost.cli.exit_codes import CliError
from tillpost.cli.input import read_model
from tillpost.cli.outbox_option import DatabaseUrl, name_of, need_outbox, opened
from tillpost.cli.output import print_line, progress, show_facts, show_json
from tillpost.errors import PosError
from tillpost.models.money import format_money
from tillpost.models.order import Order

if TYPE_CHECKING:
    from tillpost.outbox.db.migrate import MigrationPlan, MigrationStep

__all__ = ["add", "erase", "migrate", "prune"]

Days = Annotated[
    float,
    typer.Option(
        "--days",
        min=0,
        max=36_500,
        metavar="N",
        help="Only finished orders that were added more than N days ago.",
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
            help="Promise that the order was never sent before; this can save a look-up.",
        ),
    ] = False,
    db: DatabaseUrl = "",
    config: ConfigFile = "",
    as_json: AsJson = False,
) -> None:
    """Add a paid order to the outbox. A worker submits it.

    Adding the same order again changes nothing.
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
        database = name_of(outbox.database)
    if as_json:
        show_json({"ok": True, "connection": settings.name, "order": order_facts(stored)})
        return
    print_line(f"Order {order.code} is in the outbox", "bold green")
    facts = (
        ("Your order", order.id),
        ("Connection", stored.connection),
        ("Total", format_money(order.total, order.currency)),
        ("To pay at the store", _due(order)),
        ("State", state_in_words(stored)),
        ("Database", database),
    )
    show_facts(facts)


def _due(order: Order) -> str:
    return format_money(order.amount_due, order.currency) if order.amount_due else ""


def migrate(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done; change nothing.")
    ] = False,
    is_confirmed: Annotated[
        bool,
        typer.Option("--yes", help="Also take steps after which older programs stop working."),
    ] = False,
    db: DatabaseUrl = "",
    config: ConfigFile = "",
    as_json: AsJson = False,
) -> None:
    """Migrate the outbox's database to this version, and say what each step does.

    Programs of the release before go on working beside this one. A step after which they don't is
    taken with --yes only. A new database is created automatically when it is first used.
    """
    with opened(db, config, new=not dry_run) as outbox:
        from tillpost.outbox.db.migrate import plan

        with outbox.database.reading() as tables:
            planned = plan(tables, outbox.engine)
        database = name_of(outbox.database)
        if not dry_run:
            if not is_confirmed:
                _refuse_to_stop_others(planned.steps)
            with progress("Migrating the database"):
                outbox.migrate()
    changed = not dry_run and bool(planned.steps or planned.prepares_engine)
    if as_json:
        steps = [step._asdict() for step in planned.steps]
        facts = {"db": database, "changed": changed, "version": planned.version, "steps": steps}
        show_json({"ok": True, **facts})
        return
    for step in planned.steps if planned.version else ():
        print_line(f"{step.version}: {step.text} {_who_goes_on(step)}")
    print_line(_migrated(database, planned, dry_run=dry_run), "bold green")


def _refuse_to_stop_others(steps: Sequence[MigrationStep]) -> None:
    """Raise `CliError` if a step stops programs that may be running."""
    for step in steps:
        if step.stops_others:
            raise CliError(
                f"step {step.version} stops programs that don't know version {step.oldest} of the"
                " tables, as those of earlier releases: stop or update them, then add --yes"
            )


def _who_goes_on(step: MigrationStep) -> str:
    if step.stops_others:
        return f"Programs that don't know version {step.oldest} stop working."
    return f"Programs that know version {step.oldest} go on."


def _migrated(database: str, planned: MigrationPlan, *, dry_run: bool) -> str:
    if not planned.steps and not planned.prepares_engine:
        return f"{database} already has this version."
    if dry_run:
        return f"{database} would be migrated to this version. Nothing was changed."
    return f"{database} was migrated to this version."


def erase(
    days: Days, db: DatabaseUrl = "", config: ConfigFile = "", as_json: AsJson = False
) -> None:
    """Erase customers' data from finished orders: names, contents and codes.

    The texts of errors and answers go, too; the journals stay otherwise. An erased order that is
    added again is still recognised. The setting `[outbox] erase_after_days` does this daily.
    """
    with opened(db, config) as outbox:
        from tillpost.outbox.worker.retention import erase as erase_orders

        with progress("Erasing"):
            count = erase_orders(outbox, days)
        database = name_of(outbox.database)
    if as_json:
        show_json({"ok": True, "db": database, "days": days, "orders": count})
    else:
        print_line(f"Erased customers' data from {count} orders.", "bold green")


def prune(
    days: Days, db: DatabaseUrl = "", config: ConfigFile = "", as_json: AsJson = False
) -> None:
    """Delete the journals of finished orders. The orders themselves stay.

    So does what keeps each from being sent twice: one event that says what its journal amounted to.
    The setting `[outbox] prune_after_days` does this daily.
    """
    with opened(db, config) as outbox:
        from tillpost.outbox.worker.retention import prune as prune_journals

        with progress("Pruning"):
            count = prune_journals(outbox, days)
        database = name_of(outbox.database)
    if as_json:
        show_json({"ok": True, "db": database, "days": days, "events": count})
    else:
        print_line(f"Deleted {count} events from the journals.", "bold green")
