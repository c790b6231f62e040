"""`tillpost orders list` and `show`: where the outbox's orders are, why one isn't on the register, and what was sent.

With `--json`, list prints {"ok", "orders"}, and show {"ok", "order", "journal": [{"number",
"event", "of_ticket", "facts", "exchange"}]}. An order is {"id", "connection", "state", "waits_for",
"progress", "code", "customer", "added_at", "due_at", "updated_at", "problem_at", "pos_order",
"ticket", "error", "remedy"}, times in epoch seconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from tillpost.cli.connection_option import AsJson, ConfigFile
from tillpost.cli.exit_codes import CliError
from tillpost.cli.outbox_option import DatabaseUrl, moment, opened
from tillpost.cli.output import show_facts, show_hops, show_json, show_table, tell
from tillpost.errors import PosError, Transcript
from tillpost.errors.remedies import ACTORS
from tillpost.models.money import format_money
from tillpost.models.order import Draft, describe_lines
from tillpost.submission.journal import (
    Cancelled,
    DoubtResolved,
    Event,
    Failed,
    Imported,
    Intended,
    KeyRetired,
    LookedUp,
    OfTicket,
    Settled,
    SubmissionRequested,
    Submitted,
)
from tillpost.support.diagnosis import three_hops

if TYPE_CHECKING:
    from tillpost.outbox import JournalEntry, Outbox, StoredOrder
    from tillpost.outbox.operations.orders import Act

__all__ = ["OrderName", "find_one", "list_", "order_facts", "show", "state_in_words"]

OrderName = Annotated[
    str,
    typer.Argument(
        metavar="ORDER", help="Its id, or its code if only one has it; orders list shows both."
    ),
]

MOST_ALIKE = 3
"""So many orders that may be meant are named when no order has the id or code that was typed."""

MOST_OF_A_BODY = 600
"""So many characters of a request or an answer are shown to people; `--json` has all."""

_STATES: Mapping[str, str] = {
    "due": "waits to be sent",
    "sending": "is being sent",
    "received": "the platform has it; that the register has it too isn't shown yet",
    "accepted": "the register has it",
    "rejected": "staff turned it down; the customer has to be paid back",
    "error": "stopped: a person has to act",
    "manual": "keyed in by hand",
    "cancelled": "cancelled",
}

_WAITS: Mapping[str, str] = {
    "time": "scheduled; it goes at {due}",
    "retry": "the platform failed; again at {due}",
    "look": "it may be there; looked for again at {due}",
    "import": "waits for a menu import; again at {due}",
    "opening": "the store is closed; again at {due}",
    "authorisation": "somebody has to connect the store again",
}


def list_(
    connection: Annotated[
        str, typer.Option("--connection", "-c", metavar="NAME", help="Of one connection.")
    ] = "",
    state: Annotated[
        list[str] | None, typer.Option("--state", help=f"In this state: {', '.join(_STATES)}.")
    ] = None,
    problem: Annotated[bool, typer.Option("--problem", help="A person has to act.")] = False,
    new: Annotated[bool, typer.Option("--new", help="Nobody in the store has begun it.")] = False,
    search: Annotated[
        str,
        typer.Option(
            "--search",
            metavar="TEXT",
            help="The customer's name or the code, or a part; or the id.",
        ),
    ] = "",
    most: Annotated[int, typer.Option("--most", min=1, max=10_000, help="How many at most.")] = 100,
    db: DatabaseUrl = "",
    config: ConfigFile = "",
    as_json: AsJson = False,
) -> None:
    """List the outbox's orders, the newest first: all, or such as fit everything that is asked for."""
    for name in state or ():
        if name not in _STATES:
            raise CliError(f"no state {name!r}; there are: {', '.join(_STATES)}")
    with opened(db, config) as outbox:
        from tillpost.outbox import OrderState

        states = [OrderState(name) for name in state or ()]
        found = outbox.orders(
            states=states, connection=connection, search=search, problem=problem, new=new, most=most
        )
    if as_json:
        show_json({"ok": True, "orders": [order_facts(order) for order in found]})
    elif not found:
        tell("No such order." if states or connection or search or problem or new else "No orders.")
    else:
        columns = ("Added", "Order", "Code", "Customer", "Connection", "State", "Why")
        show_table(
            "",
            columns,
            (_row(order) for order in found),
            red=[needs_person(order) for order in found],
        )
        if first := next((order for order in found if needs_person(order)), None):
            tell(f"Why, and what to do, step by step: tillpost diagnose ORDER, such as {first.id}")


def show(
    order: OrderName,
    full: Annotated[
        bool,
        typer.Option(
            "--full", help="Also what was sent and came back (redacted), and a word to developers."
        ),
    ] = False,
    db: DatabaseUrl = "",
    config: ConfigFile = "",
    as_json: AsJson = False,
) -> None:
    """Show where an order is, why, who must act, and its journal: what happened to it, one line each.

    What to do about it, step by step, says tillpost diagnose.
    """
    with opened(db, config) as outbox:
        from tillpost.outbox.operations.diagnosis import gather_facts
        from tillpost.outbox.operations.orders import OrderOperations

        found = find_one(outbox, order)
        entries = outbox.entries(found.id)
        hops = () if as_json else three_hops(gather_facts(outbox, found.id, live=False))
        acts = () if as_json else OrderOperations(outbox, "").acts(found.id)
    if as_json:
        show_json(
            {
                "ok": True,
                "order": order_facts(found),
                "journal": [_entry_facts(entry) for entry in entries],
            }
        )
        return
    tell(
        f"Order {found.code or found.id}: {state_in_words(found)}",
        "bold red" if needs_person(found) else "bold",
    )
    show_hops(hops)
    show_facts((*_facts(found, full=full), *(("By a person", _act(act)) for act in acts)))
    if needs_person(found):
        tell(f"What to do, step by step: tillpost diagnose {found.id}", "bold")
    tell(
        "Journal" if entries else "No journal: nothing was done for it yet, or it was pruned.",
        "bold",
    )
    for entry in entries:
        show_facts(
            (
                (moment(entry.event.at), _in_words(entry.event, found)),
                *(_exchange(entry.exchange) if full else ()),
            )
        )


def order_facts(order: StoredOrder) -> dict[str, object]:
    """Return what programs are told of an order."""
    names = (
        "id",
        "connection",
        "state",
        "waits_for",
        "progress",
        "code",
        "customer",
        "added_at",
        "due_at",
    )
    more = ("updated_at", "problem_at", "pos_order", "ticket", "error", "remedy")
    return {name: getattr(order, name) for name in (*names, *more)}


def state_in_words(order: StoredOrder) -> str:
    """Say where an order is, and what it waits for."""
    if order.state.value == "due" and order.waits_for.value and order.due_at is not None:
        return _WAITS[order.waits_for.value].format(due=moment(order.due_at))
    return _STATES[order.state.value]


def find_one(outbox: Outbox, typed: str) -> StoredOrder:
    """Return the order of that id, or the only one with that code; raise `CliError` that says what helps.

    A customer's name finds no order to act on: it names those that it may be.
    """
    if by_id := outbox.get(typed):
        return by_id
    alike = outbox.orders(search=typed)
    having = [order for order in alike if order.code == typed]
    having = having or [order for order in alike if order.code.casefold() == typed.casefold()]
    if not having:
        raise CliError(f"no order {typed!r}: {_instead(alike)}")
    if len(having) > 1:
        raise CliError(
            f"several orders have the code {typed!r}: {', '.join(order.id for order in having)}"
        )
    return having[0]


def _instead(alike: Sequence[StoredOrder]) -> str:
    if not alike:
        return "`tillpost orders list --search NAME` finds one by its customer's name or a part of its code"
    first = ", ".join(
        f"{order.id} ({order.customer or order.code})" for order in alike[:MOST_ALIKE]
    )
    return f"name it by its id or code; is it {first}{' or another' if len(alike) > MOST_ALIKE else ''}?"


def needs_person(order: StoredOrder) -> bool:
    """Whether a person has to act on the order."""
    return order.problem_at is not None


def _row(order: StoredOrder) -> tuple[str, ...]:
    error = PosError.from_record(order.error) if order.error else None
    why = f"{type(error).__name__}: {error.detail}" if error else ""
    return (
        moment(order.added_at),
        order.id,
        order.code,
        order.customer,
        order.connection,
        state_in_words(order) if order.state.value == "due" else order.state.value,
        why,
    )


def _facts(order: StoredOrder, *, full: bool) -> tuple[tuple[str, str], ...]:
    remedy, content = order.remedy, order.order
    error = PosError.from_record(order.error) if order.error else None
    return (
        ("Order", order.id),
        ("Customer", order.customer),
        ("Connection", order.connection),
        ("Total", format_money(content.total, content.currency) if content else ""),
        ("Added", moment(order.added_at)),
        ("Progress", order.progress.value),
        ("At the POS", order.pos_order.id if order.pos_order else ""),
        ("Ticket there", order.ticket.id if order.ticket else ""),
        ("Error", f"{type(error).__name__}: {error}" if error else ""),
        ("Lines", ", ".join(describe_lines(content, error.lines)) if content and error else ""),
        ("Who must act", f"{ACTORS[remedy.actor]}: {remedy.manager}" if remedy else ""),
        ("For developers", remedy.developer if remedy and full else ""),
        (
            "Workers died",
            f"{order.crash_count} in a row, with it in hand" if order.crash_count else "",
        ),
        *(("Notice", notice) for notice in (order.pos_order.notices if order.pos_order else ())),
    )


def _act(act: Act) -> str:
    return f"{moment(act.at)} {act.who}: {act.what}{f' ({act.note})' if act.note else ''}"


def _entry_facts(entry: JournalEntry) -> dict[str, object]:
    event, of_ticket = entry.happened, entry.of_ticket
    facts = {
        "number": entry.number,
        "event": type(event).__name__,
        "of_ticket": of_ticket,
        "facts": asdict(event),
    }
    return {**facts, "exchange": entry.exchange}


def _in_words(event: Event, order: StoredOrder) -> str:
    """Say what an event of a journal means."""
    match event:
        case OfTicket(of_ticket):
            return f"of its attention ticket: {_in_words(of_ticket, order)}"
        case SubmissionRequested():
            return "it was asked for"
        case Intended():
            key = f" under the key {event.key}" if event.key else ""
            return f"a request is about to leave that can {event.effect.name.lower()} it{key}"
        case Settled():
            return f"the platform carried that out: {event.applied.value}"
        case LookedUp(found=None):
            return "it was looked for, and isn't there"
        case LookedUp(found=Draft()):
            return "it was looked for, and is there where staff can't see it"
        case LookedUp():
            return "it was looked for, and is there"
        case Imported():
            fresh = (
                "the menu was imported" if event.fresh else "the last menu import was young enough"
            )
            bound = (
                "the order fits it otherwise than before"
                if event.changed
                else "that changed nothing for the order"
            )
            return f"{fresh}{', and held for a person' if event.held else ''}; {bound}"
        case Failed():
            error = PosError.from_record(event.error)
            return f"{type(error).__name__}: {error}"
        case DoubtResolved():
            return "it was looked for to the end, and surely isn't there"
        case KeyRetired():
            return "what was made under its key was found cancelled"
        case Submitted():
            return f"the platform has it: {event.pos_order.id}, {event.pos_order.state.value}"
        case Cancelled():
            return f"it was withdrawn at the platform: {event.pos_order.id}"


def _exchange(exchange: Transcript | None) -> tuple[tuple[str, str], ...]:
    if exchange is None:
        return ()
    answer = (
        f"{exchange.status_code} {exchange.response_body}"
        if exchange.status_code
        else exchange.fault
    )
    return (
        ("  sent", _short(f"{exchange.method} {exchange.path} {exchange.request_body}")),
        ("  came back", _short(answer)),
        ("  request id", exchange.request_id),
    )


def _short(text: str) -> str:
    left = len(text) - MOST_OF_A_BODY
    return (
        f"{text[:MOST_OF_A_BODY]} ... and {left} characters more, which --json shows"
        if left > 0
        else text
    )
