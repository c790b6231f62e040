"""A receiver of webhooks.

It verifies them, confirms what they claim, and writes their effects once. `Outbox.receive` uses one
`Receiver` for all connections. What a signature doesn't prove is looked up at the platform first.
If an event can't be processed now, an error asks the platform to send the webhook again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from tillpost.adapter.webhooks import (
    AuthorisationRevoked,
    AvailabilityChanged,
    OrderChanged,
    OrderRefused,
    WebhookError,
    WebhookEvent,
    WebhookFault,
)
from tillpost.errors import ErrorRecord, Outcome, PosError
from tillpost.models.order import PosOrder, PosState
from tillpost.outbox.connections.credentials import CredentialStore
from tillpost.outbox.connections.token_refresh import RefreshMarks
from tillpost.outbox.db.connection_rows import ConnectionRows
from tillpost.outbox.db.database import Database
from tillpost.outbox.delivery.connections import ConnectionSource
from tillpost.outbox.delivery.foreign_source import as_source
from tillpost.outbox.delivery.open_connections import OpenConnection, OpenConnections
from tillpost.outbox.delivery.sources import default_source
from tillpost.outbox.delivery.store_queries import StoreQueries
from tillpost.outbox.engine import Engine
from tillpost.outbox.event_log import HookCall, log_event
from tillpost.outbox.orders.heartbeat import Heartbeat
from tillpost.outbox.orders.updates import OrderUpdates
from tillpost.outbox.orders.workers import WorkerRegistry
from tillpost.outbox.settings import OutboxSettings
from tillpost.outbox.webhooks.effects import EventEffects
from tillpost.outbox.webhooks.received_events import record_event, unreceived

__all__ = ["Receiver"]

NOT_FOUND = (404, 410)
"""Statuses with which a platform says that it has no such order."""


class Receiver:
    """Receives the webhooks of all connections of an outbox. Thread-safe.

    Args:
        database: The outbox's database.
        engine: Wakes the workers.
        settings: The outbox's settings.
        connections: The source of connections; by default those of the TOML file, of the database
            and of the installed plugins.
        config: The TOML file, as for `config.config_path`.
        hooks: Objects whose hooks are called in addition to the plugins'.
        clock: Returns the time in epoch seconds; by default the database's clock.
    """

    def __init__(
        self,
        database: Database,
        engine: Engine,
        settings: OutboxSettings,
        *,
        connections: ConnectionSource | None = None,
        config: str | Path | None = None,
        hooks: Iterable[object] = (),
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._database = database
        self._clock = clock or database.clock
        # A receiver may refresh a token, and other workers must see whether it is still alive.
        self._heartbeat = Heartbeat(WorkerRegistry(database), settings.lease, self._clock)
        self._orders = OrderUpdates(engine, settings)
        self._effects = EventEffects(ConnectionRows(database), self._orders, settings)
        store = CredentialStore(database)
        marks = RefreshMarks(store, self._heartbeat.worker_id)
        source = as_source(connections, lambda: default_source(store, config, marks))
        self._connections = OpenConnections(source, settings, self._clock, hooks, marks=marks)

    def receive(
        self,
        connection: str,
        headers: Mapping[str, str],
        body: bytes,
        url: str,
    ) -> Sequence[WebhookEvent]:
        """Receive a webhook; see `Outbox.receive`."""
        opened = self._connections[connection]
        try:
            claims = opened.webhooks.read(headers, body, url)
            new_claims = self._new_among(connection, claims)
        except WebhookError as error:
            log_event("webhook_refused", connection=connection, fault=error.fault.value)
            raise
        events = self._confirm(opened, new_claims)
        applied, hook_calls = self._apply(opened, events)
        if events and not applied:
            raise _repeated()
        for event in applied:
            log_event("webhook_received", connection=connection, event_kind=event.kind)
        for hook, facts in hook_calls:
            opened.call_hook(hook, facts)
        return applied

    def close(self) -> None:
        """Store unsaved tokens and close the connections."""
        self._connections.save_tokens()
        self._connections.close()
        self._heartbeat.__exit__(None, None, None)

    def _new_among(self, connection: str, claims: Sequence[WebhookEvent]) -> Sequence[WebhookEvent]:
        """Return the events not received before; raise `WebhookError` if all were."""
        with self._database.reading() as db:
            new = unreceived(db, connection, claims)
        if claims and not new:
            raise _repeated()
        return new

    def _apply(
        self, opened: OpenConnection, events: Sequence[WebhookEvent]
    ) -> tuple[Sequence[WebhookEvent], Sequence[HookCall]]:
        """Record the events and write their effects.

        Returns the new events, and hooks to call.
        """
        now = self._clock()
        applied: list[WebhookEvent] = []
        hook_calls: list[HookCall] = []
        with self._database.writing() as db:
            for settled in events:
                event = self._effects.without_customer(db, opened, settled)
                if record_event(db, opened.connection.name, event, now):
                    hook_calls += self._effects.apply(db, opened, event, now)
                    applied.append(event)
        return tuple(applied), hook_calls

    # ------------------------------------------------------------------ confirm claims

    def _confirm(
        self, opened: OpenConnection, claims: Sequence[WebhookEvent]
    ) -> Sequence[WebhookEvent]:
        """Return the events, confirmed where the signature proves nothing.

        Those have what the platform shows.
        """
        claims = [self._with_confirmed_access(opened, claim) for claim in claims]
        fetched = self._fetch_orders(opened, claims)
        events = opened.webhooks.settle(claims, fetched)
        return [
            self._with_outcome(opened, event) if isinstance(event, OrderRefused) else event
            for event in events
        ]

    def _fetch_orders(
        self, opened: OpenConnection, claims: Sequence[WebhookEvent]
    ) -> Mapping[str, PosOrder]:
        """Fetch the orders that changed, by the platform's ids, if they may be ours.

        One at another address isn't fetched: at this one, another order may have that id.
        """
        queries = StoreQueries(opened)
        fetched: dict[str, PosOrder] = {}
        for claim in claims:
            if not isinstance(claim, OrderChanged) or claim.pos_order or claim.pos_id in fetched:
                continue
            if self._may_be_ours(opened, claim):
                fetched[claim.pos_id] = queries.fetch_briefly(claim.pos_id)
        return fetched

    def _with_confirmed_access(self, opened: OpenConnection, claim: WebhookEvent) -> WebhookEvent:
        """Return a revocation only if the platform refuses our access.

        Otherwise a check is due. The signature may prove that a store has revoked its access
        without proving which: one application can have a single subscription for all its stores.
        """
        if not isinstance(claim, AuthorisationRevoked):
            return claim
        if StoreQueries(opened).probe_briefly().access_refused:
            return claim
        log_event("revocation_unconfirmed", connection=opened.connection.name)
        return AvailabilityChanged(event_id=claim.event_id, at=claim.at)

    def _with_outcome(self, opened: OpenConnection, event: OrderRefused) -> OrderRefused:
        """Return a refusal with the order's outcome, as the platform shows it.

        Nothing is sent again because of a claim alone. What became of an order at another address
        can't be found out.
        """
        error = event.error.model_copy(
            update={
                "platform": opened.platform,
                "title": opened.adapter.title,
                "operation": "parse_webhook",
            }
        )
        if not _claims_not_created(error):
            return event.model_copy(update={"error": error})
        if self._is_elsewhere(opened, event):
            error = error.model_copy(update={"outcome": Outcome.UNKNOWN})
        elif self._may_be_ours(opened, event):
            pos_order = _fetch_active_order(opened, event.pos_id)
            if pos_order:
                created = {"outcome": Outcome.CREATED, "pos_order": pos_order}
                error = error.model_copy(update=created)
        return event.model_copy(update={"error": error})

    def _may_be_ours(self, opened: OpenConnection, event: OrderChanged | OrderRefused) -> bool:
        name, address = opened.connection.name, opened.connection.address
        with self._database.reading() as db:
            return self._orders.may_be_ours(db, name, event.pos_id, event.reference, address)

    def _is_elsewhere(self, opened: OpenConnection, event: OrderRefused) -> bool:
        name, address = opened.connection.name, opened.connection.address
        with self._database.reading() as db:
            return self._orders.is_elsewhere(db, name, event.pos_id, event.reference, address)


def _claims_not_created(error: ErrorRecord) -> bool:
    return error.pos_order is None and error.outcome is Outcome.NOT_CREATED


def _fetch_active_order(opened: OpenConnection, pos_id: str) -> PosOrder | None:
    """Fetch an order that the store is going to make.

    Returns None if the platform shows no such order.
    """
    try:
        pos_order = StoreQueries(opened).fetch_briefly(pos_id)
    except PosError as error:
        if error.status_code in NOT_FOUND:
            return None
        raise
    is_over = pos_order.state in (PosState.REJECTED, PosState.CANCELLED)
    return None if is_over else pos_order


def _repeated() -> WebhookError:
    return WebhookError(WebhookFault.REPEATED, "the webhook was received before")
