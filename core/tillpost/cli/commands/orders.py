"""`tillpost orders list|show`: the outbox's orders, and the history of one.

With `--json`, list prints {"ok", "orders"}, and show prints {"ok", "order", "journal": [{"number",
"event", "of_ticket", "facts", "exchange"}]}. An order is {"id", "connection", "state", "waits_for",
"progress", "code", "customer", "added_at", "due_at", "updated_at", "problem_at", "pos_order",
"ticket", "error", "remedy"}, with times in epoch seconds. `order_actions` has the commands that
change an order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from tillpost.cli.connection_option import AsJson, ConfigFile
from tillpost.cli.exit_codes import CliError
from tillpost.cli.outbox_option import DatabaseUrl, opened
from tillpost.cli.output import print_line, show_facts, show_hops, show_json, show_table
from tillpost.errors import PosError, Transcript
from tillpost.errors.remedies import ACTORS
from tillpost.models.local_time import local_time
from tillpost.models.money import format_money
from tillpost.models.order import Draft, describe_lines
from tillpost.models.safe_text import shell_word
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
    Pruned,
    Settled,
    Sighted,
    SubmissionRequested,
    Submitted,
)
from tillpost.support.diagnosis import three_hops

if TYPE_CHECKING:
    from tillpost.outbox import JournalEntry, Outbox, StoredOrder
    from tillpost.outbox.operations.orders import Act
    from tillpost.outbox.orders.queries import UnreadableEvent

__all__ = [
    "OrderName",
    "act_in_words",
    "event_in_words",
    "exchange_facts",
    "facts_in_words",
    "find_one",
    "list_",
    "order_facts",
    "show",
    "state_in_words",
]

OrderName = Annotated[
    str,
    typer.Argument(metavar="ORDER", help="The order's id, or its code if only one order has it."),
]

MAX_SUGGESTIONS = 3
"""How many orders are suggested when no order has the id or code that was typed."""

MAX_BODY = 600
"""How many characters of a request or answer people see; `--json` shows all."""

_STATES: Mapping[str, str] = {
    "due": "waits to be sent",
    "sending": "is being sent",
    "received": "received by the platform; not yet confirmed by the register",
    "accepted": "accepted at the register",
    "rejected": "rejected by staff; what the customer paid has to be refunded",
    "error": "failed: a person has to act",
    "manual": "handled by hand",
    "cancelled": "cancelled",
}

_WAITS: Mapping[str, str] = {
    "time": "scheduled; it is sent at {due}",
    "retry": "the platform failed; retried at {due}",
    "look": "it may exist at the platform; looked up again at {due}",
    "import": "waits for a menu import; retried at {due}",
    "opening": "the store is closed; retried at {due}",
    "authorisation": "the store has to be reconnected",
}

_WITHDRAWN = "a copy may be at the platform, and is looked up and cancelled from {due} on"


def list_(
    connection: Annotated[
        str,
        typer.Option("--connection", "-c", metavar="NAME", help="Only orders of this connection."),
    ] = "",
    state: Annotated[
        list[str] | None,
        typer.Option("--state", help=f"Only orders in this state: {', '.join(_STATES)}."),
    ] = None,
    problem: Annotated[
        bool, typer.Option("--problem", help="Only orders on which a person has to act.")
    ] = False,
    new: Annotated[
        bool, typer.Option("--new", help="Only orders that the store hasn't accepted yet.")
    ] = False,
    search: Annotated[
        str,
        typer.Option(
            "--search",
            metavar="TEXT",
            help="Only orders with this text in the customer's name or the code, or as the id.",
        ),
    ] = "",
    most: Annotated[
        int, typer.Option("--most", min=1, max=10_000, help="How many orders to list at most.")
    ] = 100,
    db: DatabaseUrl = "",
    config: ConfigFile = "",
    as_json: AsJson = False,
) -> None:
    """List the outbox's orders, the newest first.

    Several filters narrow the list together.
    """
    for name in state or ():
        if name not in _STATES:
            raise CliError(f"no state {name!r}; choose one of: {', '.join(_STATES)}")
    with opened(db, config) as outbox:
        from tillpost.outbox import OrderState

        found = outbox.orders(
            states=[OrderState(name) for name in state or ()],
            connection=connection,
            search=search,
            problem=problem,
            new=new,
            most=most,
        )
    if as_json:
        show_json({"ok": True, "orders": [order_facts(order) for order in found]})
        return
    if found:
        _show_orders(found)
        return
    is_filtered = bool(state or connection or search or problem or new)
    print_line("No such order." if is_filtered else "No orders.")


def _show_orders(orders: Sequence[StoredOrder]) -> None:
    columns = ("Added", "Order", "Code", "Customer", "Connection", "State", "Why")
    rows = [_row(order) for order in orders]
    show_table("", columns, rows, red=[needs_person(order) for order in orders])
    problems = [order for order in orders if needs_person(order)]
    if problems:
        example = shell_word(problems[0].id)
        print_line(f"Find out why, and what to do: tillpost diagnose ORDER, such as {example}")


def show(
    order: OrderName,
    full: Annotated[
        bool,
        typer.Option(
            "--full", help="Also show redacted requests and answers, and hints for developers."
        ),
    ] = False,
    db: DatabaseUrl = "",
    config: ConfigFile = "",
    as_json: AsJson = False,
) -> None:
    """Show an order's state and history.

    `tillpost diagnose` says what to do about it.
    """
    with opened(db, config) as outbox:
        from tillpost.outbox.operations.diagnosis import gather_facts
        from tillpost.outbox.operations.orders import OrderOperations

        found = find_one(outbox, order)
        entries = outbox.entries(found.id)
        operations = OrderOperations(outbox, "")
        elsewhere = operations.elsewhere(found.id)
        if as_json:
            journal = [_entry_facts(entry) for entry in entries]
            shown = {**order_facts(found), "elsewhere": elsewhere}
            show_json({"ok": True, "order": shown, "journal": journal})
            return
        hops = three_hops(gather_facts(outbox, found.id, live=False))
        acts = operations.acts(found.id)
    style = "bold red" if needs_person(found) else "bold"
    print_line(f"Order {found.code or found.id}: {state_in_words(found)}", style)
    show_hops(hops)
    facts = facts_in_words(found, full=full)
    if elsewhere:
        facts.append(("Address", elsewhere))
    facts.extend(("Action", act_in_words(act)) for act in acts)
    show_facts(facts)
    if needs_person(found):
        command = f"tillpost diagnose {shell_word(found.id)}"
        print_line(f"Find out what to do, step by step: {command}", "bold")
    _show_journal(found, entries, full=full)


def _show_journal(order: StoredOrder, entries: Sequence[JournalEntry], *, full: bool) -> None:
    if not entries:
        print_line("No journal: nothing was sent yet, or it was pruned.", "bold")
        return
    print_line("Journal", "bold")
    for entry in entries:
        line = (local_time(entry.event.at), event_in_words(entry.event, order))
        exchange = exchange_facts(entry.exchange) if full else ()
        show_facts((line, *exchange))


def order_facts(order: StoredOrder) -> dict[str, object]:
    """Return an order as `--json` prints it."""
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
        "updated_at",
        "problem_at",
        "pos_order",
        "ticket",
        "error",
        "remedy",
    )
    return {name: getattr(order, name) for name in names}


def state_in_words(order: StoredOrder) -> str:
    """Return an order's state for people, and what it waits for."""
    if order.state.value == "manual" and order.due_at is not None:
        return f"{_STATES['manual']}; {_WITHDRAWN.format(due=local_time(order.due_at))}"
    is_waiting = order.state.value == "due" and order.waits_for.value
    if is_waiting and order.due_at is not None:
        return _WAITS[order.waits_for.value].format(due=local_time(order.due_at))
    return _STATES[order.state.value]


def find_one(outbox: Outbox, typed: str) -> StoredOrder:
    """Return the order with this id, or the only one with this code in either case.

    A customer's name never selects an order. The error names the orders that may be meant.

    Raises:
        CliError: If no order or several orders match.
    """
    by_id = outbox.get(typed)
    if by_id:
        return by_id
    similar = outbox.orders(search=typed)
    exact = [order for order in similar if order.code == typed]
    folded = [order for order in similar if order.code.casefold() == typed.casefold()]
    matches = exact or folded
    if not matches:
        raise CliError(f"no order {typed!r}: {_suggest(similar)}")
    if len(matches) > 1:
        ids = ", ".join(order.id for order in matches)
        raise CliError(f"several orders have the code {typed!r}; choose one by its id: {ids}")
    return matches[0]


def _suggest(similar: Sequence[StoredOrder]) -> str:
    """Return what to type instead."""
    if not similar:
        return "find it by the customer's name with `tillpost orders list --search NAME`"
    suggestions: list[str] = []
    for order in similar[:MAX_SUGGESTIONS]:
        name = order.customer or order.code
        suggestions.append(f"{order.id} ({name})")
    names = ", ".join(suggestions)
    others = " or another" if len(similar) > MAX_SUGGESTIONS else ""
    return f"use its id or code. Did you mean {names}{others}?"


def needs_person(order: StoredOrder) -> bool:
    """Return whether a person has to act on the order."""
    return order.problem_at is not None


def _row(order: StoredOrder) -> tuple[str, ...]:
    error = PosError.from_record(order.error) if order.error else None
    state = order.state.value
    return (
        local_time(order.added_at),
        order.id,
        order.code,
        order.customer,
        order.connection,
        state_in_words(order) if state == "due" else state,
        f"{type(error).__name__}: {error.detail}" if error else "",
    )


def facts_in_words(order: StoredOrder, *, full: bool) -> list[tuple[str, str]]:
    """Return an order's facts for people, as `orders show` prints them."""
    content = order.order
    facts = [
        ("Order", order.id),
        ("Customer", order.customer),
        ("Connection", order.connection),
        ("Total", format_money(content.total, content.currency) if content else ""),
        ("Added", local_time(order.added_at)),
        ("Progress", order.progress.value),
        ("At the POS", order.pos_order.id if order.pos_order else ""),
        ("Ticket there", order.ticket.id if order.ticket else ""),
        *_error_facts(order, full=full),
    ]
    if order.crash_count:
        facts.append(("Workers crashed", f"{order.crash_count} in a row while sending it"))
    if order.pos_order:
        facts.extend(("Notice", notice) for notice in order.pos_order.notices)
    return facts


def _error_facts(order: StoredOrder, *, full: bool) -> list[tuple[str, str]]:
    facts: list[tuple[str, str]] = []
    if order.error:
        error = PosError.from_record(order.error)
        facts.append(("Error", f"{type(error).__name__}: {error}"))
        if order.order:
            facts.append(("Lines", ", ".join(describe_lines(order.order, error.lines))))
    remedy = order.remedy
    if remedy:
        facts.append(("Who must act", f"{ACTORS[remedy.actor]}: {remedy.manager}"))
        if full:
            facts.append(("For developers", remedy.developer))
    return facts


def act_in_words(act: Act) -> str:
    """Return what a person did, for people."""
    note = f" ({act.note})" if act.note else ""
    return f"{local_time(act.at)} {act.who}: {act.what}{note}"


def _entry_facts(entry: JournalEntry) -> dict[str, object]:
    """Return an entry of the journal as `--json` prints it."""
    event = entry.happened
    return {
        "number": entry.number,
        "event": type(event).__name__,
        "of_ticket": entry.of_ticket,
        "facts": asdict(event),
        "exchange": entry.exchange,
    }


def event_in_words(event: Event | UnreadableEvent, order: StoredOrder) -> str:
    """Return an event of the journal for people."""
    from tillpost.outbox.orders.queries import UnreadableEvent

    match event:
        case OfTicket(of_ticket):
            return f"attention ticket: {event_in_words(of_ticket, order)}"
        case SubmissionRequested():
            return "submission requested"
        case Intended():
            key = f" with the key {event.key}" if event.key else ""
            return f"sending a request that can {event.effect.name.lower()} the order{key}"
        case Settled():
            return f"carried out by the platform: {event.applied.value}"
        case LookedUp(found=None):
            return "looked up: not found"
        case LookedUp(found=Draft()):
            return "looked up: found, but not visible to staff"
        case LookedUp():
            return "looked up: found"
        case Sighted(pos_id=pos_id):
            return f"the platform named {pos_id}, which may be the order; it is looked up"
        case Imported():
            return _import_in_words(event)
        case Failed():
            error = PosError.from_record(event.error)
            return f"{type(error).__name__}: {error}"
        case DoubtResolved():
            return "all look-ups are done: the order doesn't exist at the platform"
        case KeyRetired():
            return "the order under this key was cancelled; a new key is used from now on"
        case Submitted():
            return f"at the platform: {event.pos_order.id}, {event.pos_order.state.value}"
        case Pruned():
            return "the events before were pruned"
        case UnreadableEvent():
            return f"an event that can't be read: {event.kind}"
        case Cancelled():
            return f"cancelled at the platform: {event.pos_order.id}"


def _import_in_words(event: Imported) -> str:
    source = "menu imported" if event.fresh else "last menu import reused"
    held = ", and held for review" if event.held else ""
    effect = "the order was matched to it anew" if event.changed else "the order is unchanged"
    return f"{source}{held}; {effect}"


def exchange_facts(exchange: Transcript | None) -> tuple[tuple[str, str], ...]:
    """Return a redacted request and its answer for people."""
    if exchange is None:
        return ()
    request = f"{exchange.method} {exchange.path} {exchange.request_body}"
    answer = exchange.fault
    if exchange.status_code:
        answer = f"{exchange.status_code} {exchange.response_body}"
    return (
        ("  request", _shorten(request)),
        ("  answer", _shorten(answer)),
        ("  request id", exchange.request_id),
    )


def _shorten(text: str) -> str:
    rest = len(text) - MAX_BODY
    if rest <= 0:
        return text
    return f"{text[:MAX_BODY]} ... ({rest} more characters; --json shows all)"
