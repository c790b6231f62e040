"""Takes what platforms tell by themselves: each event has its effect once, or the platform is asked to send it again.

`Outbox.receive` is this, for one connection. What a signature doesn't prove is looked up first. An
event is remembered in the transaction that writes its effect, so a crash loses neither, and of two
processes that get the same one, one acts.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from tillpost.adapter.webhooks import (
    AuthorisationRevoked,
    AvailabilityChanged,
    MenuChanged,
    OrderChanged,
    OrderRefused,
    WebhookError,
    WebhookEvent,
    WebhookFault,
)
from tillpost.errors import Outcome, PermissionsError, PosError
from tillpost.models.order import PosOrder, PosState
from tillpost.outbox.connections.credentials import CredentialStore
from tillpost.outbox.db import schema as t
from tillpost.outbox.db.connection_rows import ConnectionRows
from tillpost.outbox.db.database import Database
from tillpost.outbox.delivery.connection_state import pause_place
from tillpost.outbox.delivery.runner import OutboxTill
from tillpost.outbox.delivery.sources import FromFileAndDatabase
from tillpost.outbox.delivery.tills import Source, Tills
from tillpost.outbox.engine import Engine
from tillpost.outbox.event_log import HookCall, decided
from tillpost.outbox.orders.heartbeat import Heartbeat
from tillpost.outbox.orders.updates import OrderUpdates
from tillpost.outbox.orders.workers import WorkerRegistry
from tillpost.outbox.settings import OutboxSettings

__all__ = ["KEPT_FOR", "Receiver", "forget_old"]

_SEEN = t.webhooks.c

KEPT_FOR = 3 * 86_400.0
"""So long an event is remembered, in seconds. Square sends one again for 24 hours, and older ones are stale."""

SETTLES = 10.0
"""A menu that was changed is imported so many seconds later: people change many things one after the other."""

APART = 60.0
"""And so many seconds after the last import at the soonest."""

GONE = (404, 410)
"""An order that the platform answers so for isn't there."""


class Receiver:
    """Receives the webhooks of all connections of an outbox. Safe for threads; `close` it with the outbox.

    `connections` and `hooks` are as a `Processor`'s.
    """

    def __init__(
        self,
        database: Database,
        engine: Engine,
        settings: OutboxSettings,
        *,
        connections: Source | None = None,
        config: str | Path | None = None,
        hooks: Iterable[object] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._connection_rows = ConnectionRows(database)
        self._settings = settings
        self._clock = clock
        self._life = Heartbeat(
            WorkerRegistry(database), settings.lease, clock
        )  # who waits for a token must see whether this process lives
        self._orders = OrderUpdates(engine, settings)
        known = connections or FromFileAndDatabase(
            CredentialStore(database), config, self._life.enlisted
        )
        self._tills = Tills(known, settings, hooks)

    def receive(
        self, connection: str, headers: Mapping[str, str], body: bytes, url: str
    ) -> Sequence[WebhookEvent]:
        """Take a webhook; see `Outbox.receive`."""
        till = self._tills[connection]
        try:
            claims = till.claims_of(headers, body, url)
            new = self._new(connection, claims)
        except WebhookError as refused:
            decided("webhook_refused", connection=connection, fault=refused.fault.value)
            raise
        events = self._believed(connection, till, new)
        now, told, taken = self._clock(), list[HookCall](), list[WebhookEvent]()
        with self._database.writing() as db:
            for event in events:
                if self._remember(db, connection, event, now):
                    told += self._take(db, connection, till, event, now)
                    taken.append(event)
        if events and not taken:
            raise _repeated()
        for event in taken:
            decided("webhook", connection=connection, event_kind=event.kind)
        for hook, facts in told:
            till.tell(hook, facts)
        return tuple(taken)

    def close(self) -> None:
        """Close the connections."""
        self._tills.close()
        self._life.__exit__(None, None, None)

    # ------------------------------------------------------------------ what is to be believed

    def _new(self, connection: str, claims: Sequence[WebhookEvent]) -> Sequence[WebhookEvent]:
        """Return the events that haven't come before. Raises `WebhookError` when all have."""
        keys = [_key(event) for event in claims if event.event_id]
        with self._database.reading() as db:
            known = set(
                db.scalars(
                    select(_SEEN.event_id).where(
                        _SEEN.connection == connection, _SEEN.event_id.in_(keys)
                    )
                )
            )
        new = [event for event in claims if not event.event_id or _key(event) not in known]
        if claims and not new:
            raise _repeated()
        return new

    def _believed(
        self, connection: str, till: OutboxTill, claims: Sequence[WebhookEvent]
    ) -> Sequence[WebhookEvent]:
        """Return what is to be believed of the claims, having asked the platform where they prove nothing."""
        bare = [claim if till.proves_webhooks else _unproved(claim) for claim in claims]
        found: dict[str, PosOrder] = {}
        for claim in bare:
            if not isinstance(claim, OrderChanged) or claim.pos_order or claim.pos_id in found:
                continue
            if self._may_be_ours(connection, claim):
                found[claim.pos_id] = till.fetch_once(claim.pos_id)
        return [self._looked_up(connection, till, event) for event in till.believed(bare, found)]

    def _looked_up(self, connection: str, till: OutboxTill, event: WebhookEvent) -> WebhookEvent:
        """Return a refusal with what became of the order, as the platform shows it: nothing is sent again on a word."""
        if not isinstance(event, OrderRefused):
            return event
        told = {"platform": till.platform, "title": till.title, "operation": "parse_webhook"}
        error = event.error.model_copy(update=told)
        on_its_word = error.pos_order is None and error.outcome is Outcome.NOT_CREATED
        if (
            on_its_word
            and self._may_be_ours(connection, event)
            and (there := _still_there(till, event.pos_id))
        ):
            error = error.model_copy(update={"outcome": Outcome.CREATED, "pos_order": there})
        return event.model_copy(update={"error": error})

    def _may_be_ours(self, connection: str, event: OrderChanged | OrderRefused) -> bool:
        with self._database.reading() as db:
            return self._orders.may_have(db, connection, event.pos_id, event.reference)

    # ------------------------------------------------------------------ what comes of it

    def _remember(self, db: Connection, connection: str, event: WebhookEvent, now: float) -> bool:
        """Take note of an event; return whether it is new. Another process that has it at the same time waits here."""
        if not event.event_id:
            return True
        once = _REMEMBER[db.dialect.name]
        return (
            db.execute(
                once, {"connection": connection, "event_id": _key(event), "received_at": now}
            ).rowcount
            == 1
        )

    def _take(
        self, db: Connection, connection: str, till: OutboxTill, event: WebhookEvent, now: float
    ) -> Sequence[HookCall]:
        """Write what comes of an event; return the hooks to be called."""
        match event:
            case OrderChanged(pos_order=PosOrder() as there):
                return self._orders.seen(db, connection, there, now, event.reference)
            case OrderRefused():
                return self._orders.refused(
                    db, connection, event.pos_id, event.reference, event.error, now
                )
            case MenuChanged():
                place = self._connection_rows.lock(db, connection)
                if place["import_at"] is None or place["importer"]:  # a burst is one change
                    at = max(now + SETTLES, place["menu_at"] + APART)
                    self._connection_rows.update(db, connection, {"import_at": at})
            case AvailabilityChanged():
                self._connection_rows.lock(db, connection)
                self._connection_rows.update(db, connection, {"check_at": now})
            case AuthorisationRevoked() if not self._is_older(db, connection, event):
                gone = PermissionsError(
                    "the store has taken its authorisation back", reason="withdrawn"
                )
                return pause_place(
                    self._connection_rows,
                    db,
                    connection,
                    till,
                    till.stamped(gone, "parse_webhook"),
                    now,
                )
            case _:
                pass
        return ()

    def _is_older(self, db: Connection, connection: str, event: AuthorisationRevoked) -> bool:
        """Whether the store was connected again after it took back what it had granted before."""
        row = t.credentials.c
        connected = db.scalar(
            select(row.connected_at).where(
                row.connection == connection, row.encrypted_secrets != ""
            )
        )
        return event.at is not None and connected is not None and event.at.timestamp() < connected


def forget_old(db: Connection, now: float) -> int:
    """Forget the events that nobody sends any more; return how many there were."""
    return db.execute(delete(t.webhooks).where(_SEEN.received_at < now - KEPT_FOR)).rowcount


_COUNTED = {"preserve_rowcount": True}
_REMEMBER = {
    "sqlite": sqlite.insert(t.webhooks).on_conflict_do_nothing().execution_options(**_COUNTED),
    "postgresql": postgresql.insert(t.webhooks)
    .on_conflict_do_nothing()
    .execution_options(**_COUNTED),
}


def _still_there(till: OutboxTill, pos_id: str) -> PosOrder | None:
    """Return an order that is still to be made, as the platform shows it; None when it shows none."""
    try:
        there = till.fetch_once(pos_id)
    except PosError as error:
        if error.status_code in GONE:
            return None
        raise
    return None if there.state in (PosState.REJECTED, PosState.CANCELLED) else there


def _unproved(claim: WebhookEvent) -> WebhookEvent:
    """Return what is left of a claim that proves nothing: that something may have happened to the order."""
    match claim:
        case OrderChanged():
            return claim.model_copy(update={"pos_order": None})
        case OrderRefused():
            return OrderChanged(
                event_id=claim.event_id, at=claim.at, pos_id=claim.pos_id, reference=claim.reference
            )
        case _:
            return claim


def _key(event: WebhookEvent) -> str:
    """Return under what an event is remembered: its id, where the table can hold it."""
    name = event.event_id
    fits = len(name) <= 200 and name.isprintable()
    return name if fits else hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()


def _repeated() -> WebhookError:
    return WebhookError(WebhookFault.REPEATED, "the webhook has come before")
