"""`tillpost orders accept|advance|resubmit|manual|cancel|export`.

They act on an order in the outbox. Each action is recorded with the person who did it. With
`--json`, an action prints {"ok", "order"}, and `manual` prints {"ok", "order", "docket",
"copy_may_appear"}. `export` always prints JSON. An action that the order's state doesn't allow ends
in one line and exit code 1.
"""

from __future__ import annotations

import getpass
import os
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from tillpost.cli.commands.orders import OrderName, find_one, order_facts, state_in_words
from tillpost.cli.connection_option import AsJson, ConfigFile
from tillpost.cli.exit_codes import NOT_RIGHT, CliError
from tillpost.cli.outbox_option import DatabaseUrl, opened
from tillpost.cli.output import print_line, progress, show_json
from tillpost.models.money import format_money
from tillpost.models.order import Progress

if TYPE_CHECKING:
    from tillpost.outbox import StoredOrder
    from tillpost.outbox.operations.orders import OrderOperations

__all__ = ["accept", "advance", "cancel", "export", "manual", "resubmit"]

_PROGRESS = [step.value for step in Progress if step not in (Progress.NEW, Progress.CANCELLED)]

By = Annotated[
    str,
    typer.Option("--by", metavar="NAME", help="Who does it. [the user who is logged in]"),
]


def accept(
    order: OrderName,
    by: By = "",
    db: DatabaseUrl = "",
    config: ConfigFile = "",
    as_json: AsJson = False,
) -> None:
    """Accept an order, so that the customer is notified.

    It needn't be on the register.
    """
    with _operations(order, by, db, config) as (operations, order_id):
        accepted = operations.accept(order_id)
    _show(accepted, f"{_name(accepted)} is {accepted.progress.value}.", as_json=as_json)


def advance(
    order: OrderName,
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="STEP",
            help=f"Skip to this step: {', '.join(_PROGRESS)}.",
        ),
    ] = "",
    by: By = "",
    db: DatabaseUrl = "",
    config: ConfigFile = "",
    as_json: AsJson = False,
) -> None:
    """Advance an order to its next step, so that the customer is notified.

    The steps are accepted, preparing, ready, on board (deliveries only) and completed. An order
    never goes back.
    """
    step = to.strip().lower().replace(" ", "_").replace("-", "_")
    if step and step not in _PROGRESS:
        raise CliError(f"no step {to!r}; choose one of: {', '.join(_PROGRESS)}")
    with _operations(order, by, db, config) as (operations, order_id):
        advanced = operations.advance(order_id, Progress(step) if step else None)
    _show(advanced, f"{_name(advanced)} is {advanced.progress.value}.", as_json=as_json)


def resubmit(
    order: OrderName,
    by: By = "",
    db: DatabaseUrl = "",
    config: ConfigFile = "",
    as_json: AsJson = False,
) -> None:
    """Send a failed order again, or a waiting order at once.

    Asking twice sends the order once.
    """
    with _operations(order, by, db, config) as (operations, order_id):
        resubmitted = operations.resubmit(order_id)
    state = state_in_words(resubmitted)
    text = f"{_name(resubmitted)} {state}. A worker sends it (`tillpost worker`)."
    _show(resubmitted, text, as_json=as_json)


def manual(
    order: OrderName,
    even_in_doubt: Annotated[
        bool,
        typer.Option(
            "--even-in-doubt", help="Also when it isn't certain whether the platform has the order."
        ),
    ] = False,
    by: By = "",
    db: DatabaseUrl = "",
    config: ConfigFile = "",
    as_json: AsJson = False,
) -> None:
    """Handle an order by hand: stop sending it, and print a docket to key in.

    The docket begins with what staff must take: no money if the customer has paid online. A copy at
    the platform is cancelled where possible. Otherwise the docket says that one may still appear.
    """
    with (
        _operations(order, by, db, config) as (operations, order_id),
        progress("Cancelling a copy at the platform"),
    ):
        taken = operations.manual(order_id, even_in_doubt=even_in_doubt)
    if as_json:
        facts = {
            "order": order_facts(taken.order),
            "docket": taken.docket,
            "copy_may_appear": taken.copy_may_appear,
        }
        show_json({"ok": True, **facts})
    else:
        # Unchanged, so that it can be sent to a printer.
        typer.echo(taken.docket, nl=False)


def cancel(
    order: OrderName,
    by: By = "",
    db: DatabaseUrl = "",
    config: ConfigFile = "",
    as_json: AsJson = False,
) -> None:
    """Cancel an order, also at the platform. This refunds nothing."""
    with (
        _operations(order, by, db, config) as (operations, order_id),
        progress("Cancelling the order at the platform"),
    ):
        cancelled = operations.cancel(order_id)
    _show(cancelled, f"{_name(cancelled)} is cancelled. {_refund(cancelled)}", as_json=as_json)


def export(order: OrderName, by: By = "", db: DatabaseUrl = "", config: ConfigFile = "") -> None:
    """Print what the provider's support needs, as JSON.

    That is ids, the error and redacted exchanges. It has no data of the customer.
    """
    with _operations(order, by, db, config) as (operations, order_id):
        exported = operations.export(order_id)
    show_json(exported)


def _refund(cancelled: StoredOrder) -> str:
    """Say what has to be refunded of a cancelled order."""
    order = cancelled.order
    if order is None:
        return "Refund what the customer paid."
    if not order.paid:
        return "Nothing of it was paid online."
    return f"Refund {format_money(order.paid, order.currency)} to the customer."


@contextmanager
def _operations(
    order: str, by: str, db: str, config: str
) -> Generator[tuple[OrderOperations, str]]:
    """Open the outbox for a person's actions, and find the order's id.

    Raises:
        CliError: If there is no such order, or its state doesn't allow the action.
    """
    with opened(db, config) as outbox:
        from tillpost.outbox.operations.orders import ActError, OrderOperations

        found = find_one(outbox, order)
        try:
            yield OrderOperations(outbox, by or _user_name()), found.id
        except ActError as error:
            raise CliError(str(error), NOT_RIGHT) from None


def _user_name() -> str:
    """Return the name of the user who runs the command; their number without a name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without an account there
        return f"uid {os.getuid()}"


def _name(order: StoredOrder) -> str:
    return f"Order {order.code or order.id}"


def _show(order: StoredOrder, text: str, *, as_json: bool) -> None:
    if as_json:
        show_json({"ok": True, "order": order_facts(order)})
    else:
        print_line(text)
