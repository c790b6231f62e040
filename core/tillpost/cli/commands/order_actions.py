"""`tillpost orders accept|advance|resubmit|manual|cancel|export`: what people do with an order of the outbox.

Each act is kept with who did it. With `--json` an act prints {"ok", "order"}, `manual` {"ok",
"order", "docket", "copy_may_appear"}, and `export` what is handed to the provider. An act that
doesn't fit is one line, and code 1.
"""

from __future__ import annotations

import getpass
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from tillpost.cli.commands.orders import OrderName, find_one, order_facts, state_in_words
from tillpost.cli.connection_option import AsJson, ConfigFile
from tillpost.cli.exit_codes import NOT_RIGHT, CliError
from tillpost.cli.outbox_option import DatabaseUrl, opened
from tillpost.cli.output import progress, show_json, tell
from tillpost.models.order import Progress

if TYPE_CHECKING:
    from tillpost.outbox import StoredOrder
    from tillpost.outbox.operations.orders import OrderOperations

__all__ = ["accept", "advance", "cancel", "export", "manual", "resubmit"]

_STEPS = [step.value for step in Progress if step not in (Progress.NEW, Progress.CANCELLED)]

By = Annotated[
    str, typer.Option("--by", metavar="NAME", help="Who does it; by default who is logged in here.")
]


def accept(
    order: OrderName,
    by: By = "",
    db: DatabaseUrl = "",
    config: ConfigFile = "",
    as_json: AsJson = False,
) -> None:
    """Accept an order, so that the customer knows: also while it isn't on the register."""
    with _desk(order, by, db, config) as (desk, order_id):
        done = desk.accept(order_id)
    _show(done, f"{_name(done)} is {done.progress.value}.", as_json=as_json)


def advance(
    order: OrderName,
    to: Annotated[
        str,
        typer.Option(
            "--to", metavar="STEP", help=f"A later step than the next one: {', '.join(_STEPS)}."
        ),
    ] = "",
    by: By = "",
    db: DatabaseUrl = "",
    config: ConfigFile = "",
    as_json: AsJson = False,
) -> None:
    """Move an order on to its next step, so that the customer knows: accepted, preparing, ready, on board (only a
    delivery), completed. Never backwards.
    """
    step = to.strip().lower().replace(" ", "_").replace("-", "_")
    if step and step not in _STEPS:
        raise CliError(f"no step {to!r}; there are: {', '.join(_STEPS)}")
    with _desk(order, by, db, config) as (desk, order_id):
        done = desk.advance(order_id, Progress(step) if step else None)
    _show(done, f"{_name(done)} is {done.progress.value}.", as_json=as_json)


def resubmit(
    order: OrderName,
    by: By = "",
    db: DatabaseUrl = "",
    config: ConfigFile = "",
    as_json: AsJson = False,
) -> None:
    """Send an order again that has stopped, or at once one that waits. Asked for twice, it goes once."""
    with _desk(order, by, db, config) as (desk, order_id):
        done = desk.resubmit(order_id)
    _show(
        done,
        f"{_name(done)} {state_in_words(done)}. A worker sends it (`tillpost worker`).",
        as_json=as_json,
    )


def manual(
    order: OrderName,
    even_in_doubt: Annotated[
        bool,
        typer.Option(
            "--even-in-doubt", help="Also while it isn't certain whether the platform has it."
        ),
    ] = False,
    by: By = "",
    db: DatabaseUrl = "",
    config: ConfigFile = "",
    as_json: AsJson = False,
) -> None:
    """Take an order over by hand: it is sent no more, and its docket is printed, marked PAID, for keying in.

    A copy that the platform has is withdrawn where it can be; else the docket says that one may
    still appear.
    """
    with (
        _desk(order, by, db, config) as (desk, order_id),
        progress("Withdrawing a copy at the platform"),
    ):
        taken = desk.manual(order_id, even_in_doubt=even_in_doubt)
    if as_json:
        facts = {
            "order": order_facts(taken.order),
            "docket": taken.docket,
            "copy_may_appear": taken.copy_may_appear,
        }
        show_json({"ok": True, **facts})
    else:
        typer.echo(taken.docket, nl=False)  # as it is: for a printer


def cancel(
    order: OrderName,
    by: By = "",
    db: DatabaseUrl = "",
    config: ConfigFile = "",
    as_json: AsJson = False,
) -> None:
    """Cancel an order: it is sent no more, and withdrawn at the platform. The money is paid back elsewhere."""
    with (
        _desk(order, by, db, config) as (desk, order_id),
        progress("Withdrawing it at the platform"),
    ):
        done = desk.cancel(order_id)
    _show(
        done, f"{_name(done)} is cancelled. The customer's money has to go back.", as_json=as_json
    )


def export(order: OrderName, by: By = "", db: DatabaseUrl = "", config: ConfigFile = "") -> None:
    """Print what the provider's support needs, as JSON: ids, error and exchanges, redacted, nothing of the customer."""
    with _desk(order, by, db, config) as (desk, order_id):
        told = desk.export(order_id)
    show_json(told)


@contextmanager
def _desk(order: str, by: str, db: str, config: str) -> Generator[tuple[OrderOperations, str]]:
    """Open the outbox as somebody's desk, and find the order that was typed. An act that doesn't fit is one line."""
    with opened(db, config) as outbox:
        from tillpost.outbox.operations.orders import ActError, OrderOperations

        found = find_one(outbox, order)
        try:
            yield OrderOperations(outbox, by or getpass.getuser()), found.id
        except ActError as misfit:
            raise CliError(str(misfit), NOT_RIGHT) from None


def _name(order: StoredOrder) -> str:
    return f"Order {order.code or order.id}"


def _show(order: StoredOrder, text: str, *, as_json: bool) -> None:
    if as_json:
        show_json({"ok": True, "order": order_facts(order)})
    else:
        tell(text)
