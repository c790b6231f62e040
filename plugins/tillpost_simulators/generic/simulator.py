"""The generic POS, simulated: its addresses, and the way every request takes through them.

    with serve_in_thread(GenericSimulator()) as running:
        Till.connect("generic", **running.settings)

A request passes these, in order: the credential, the timestamp and the signature; then its
operation. A refusal anywhere leaves the world as it was, and burns no key.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from pydantic import BaseModel, ValidationError
from pydantic_core import to_json

from tillpost.errors import (
    DoubtError,
    OrderError,
    OutageError,
    PermissionsError,
    RateLimitError,
    RegisterOfflineError,
    SetupError,
    StoreClosedError,
)
from tillpost.models.base import explain
from tillpost.models.order import PosState, Progress
from tillpost.simulator import Answer, Call, FaultPlan, Ledger, Route
from tillpost_generic.signature import signed_text
from tillpost_generic.wire import Health, NewOrder
from tillpost_simulators.generic.actions import StoreActions
from tillpost_simulators.generic.register import ledger, price
from tillpost_simulators.generic.world import (
    Refusal,
    Replay,
    StoredOrder,
    World,
    WorldSettings,
    new_world,
)

__all__ = ["GenericSimulator"]

Operation: TypeAlias = Callable[[Call], Answer]


class GenericSimulator(StoreActions):
    """One store whose POS serves the generic format, on a server of its own.

    `settings` says how the store begins; `faults` is the fault plan to begin with.
    """

    def __init__(
        self, settings: WorldSettings | None = None, faults: FaultPlan | None = None
    ) -> None:
        super().__init__(faults)
        self.settings = settings or WorldSettings()
        self._world = new_world(self.settings)

    @property
    def world(self) -> World:
        """The present state. Hold `lock` while reading it from another thread."""
        return self._world

    def routes(self) -> Sequence[Route]:
        """The format's addresses."""
        operations: tuple[tuple[str, str, Operation], ...] = (
            ("POST", "/orders", self._create),
            ("GET", "/orders", self._find),
            ("GET", "/orders/{id}", self._fetch),
            ("POST", "/orders/{id}/cancel", self._cancel),
            ("GET", "/menu", self._menu),
            ("GET", "/health", self._health),
        )
        return [
            Route(method, path, self._entrance(operation)) for method, path, operation in operations
        ]

    def ledger(self) -> Ledger:
        """What staff would see now."""
        with self.lock:
            return ledger(self._world)

    def start_afresh(self) -> None:
        """Puts the store back to its beginning."""
        self._world = new_world(self.settings)

    def connection_settings(self, url: str) -> Mapping[str, str]:
        """What a till needs. A simulator is on this machine, which the guard of addresses has to be told to allow."""
        named = {"username": self.settings.username} if self.settings.username else {}
        secrets = {
            "access_token": self.settings.access_token,
            "signing_key": self.settings.signing_key,
        }
        return {"base_url": url, **named, **secrets, "allow_private": "true"}

    def failure(self, status: int, retry_after: int | None = None) -> Answer:
        """A problem for a status that no operation chose: by its kind, nobody serves that address, or not now."""
        kind = SetupError if status < 429 else RateLimitError if status == 429 else OutageError
        return Refusal(kind, f"status {status}", status=status, retry_after=retry_after).answer()

    def down(self) -> Answer | None:
        """503 while there is an outage."""
        return self.failure(503) if self._world.outage else None

    def _entrance(self, operation: Operation) -> Operation:
        def enter(call: Call) -> Answer:
            try:
                self._let_in(call)
                return operation(call)
            except Refusal as refusal:
                return refusal.answer()

        return enter

    def _let_in(self, call: Call) -> None:
        settings, world = self.settings, self._world
        token = f"Bearer {settings.access_token}"
        if settings.username:
            pair = f"{settings.username}:{settings.access_token}"
            token = f"Basic {b64encode(pair.encode()).decode()}"
        if world.revoked or not _same(call.headers.get("authorization", ""), token):
            raise Refusal(PermissionsError, "the credential isn't valid here")
        sent_at = call.headers.get("tillpost-timestamp", "")
        if not sent_at.isdecimal() or abs(settings.clock() - int(sent_at)) > settings.tolerance:
            raise Refusal(PermissionsError, "the request is too old, or from the future")
        key = call.headers.get("idempotency-key", "")
        text = signed_text(sent_at, call.method, call.target, key, call.body)
        proper = hmac.new(world.signing_key.encode(), text, hashlib.sha256).hexdigest()
        if not _same(call.headers.get("tillpost-signature", ""), proper):
            raise Refusal(PermissionsError, "the signature is wrong")

    def _create(self, call: Call) -> Answer:
        world, key = self._world, call.headers.get("idempotency-key", "")
        if not key:
            raise Refusal(SetupError, "an order needs an Idempotency-Key")
        digest = hashlib.sha256(call.body).hexdigest()
        if (replay := world.replays.get(key)) is not None:
            if replay.digest != digest:
                raise Refusal(DoubtError, "the key was used for another body")
            return replay.answer
        try:
            new = NewOrder.model_validate_json(call.body)
        except ValidationError as error:
            raise Refusal(OrderError, explain(error)) from None
        answer = self._make(new)
        world.replays[key] = Replay(digest, answer)
        return answer

    def _make(self, new: NewOrder) -> Answer:
        world = self._world
        if world.refusal:
            raise world.refusal
        if any(
            o.order.id == new.order.id and o.state is not PosState.CANCELLED
            for o in world.orders.values()
        ):
            raise Refusal(DoubtError, "an order with that reference is there, under another key")
        if not world.store_open:
            raise Refusal(StoreClosedError, "the store takes no online orders now")
        if not world.register_online:
            raise Refusal(RegisterOfflineError, "the register isn't connected")
        bill = price(world.menu, new)
        world.made += 1
        stored = StoredOrder(f"G{world.made:05}", new, bill.total, bill.tax)
        world.orders[stored.id] = stored
        return _said(stored.answer())

    def _find(self, call: Call) -> Answer:
        reference = call.query.get("reference")
        if reference is None:
            raise Refusal(SetupError, "a search needs a reference")
        found = [
            stored.answer()
            for stored in self._world.orders.values()
            if stored.order.id == reference
        ]
        return Answer(body=to_json(found))

    def _fetch(self, call: Call) -> Answer:
        return _said(self._named(call).answer())

    def _cancel(self, call: Call) -> Answer:
        stored = self._named(call)
        if stored.progress is Progress.COMPLETED or stored.state is PosState.REJECTED:
            raise Refusal(OrderError, f"it can't be withdrawn any more: {stored.status}")
        stored.state, stored.progress, stored.status = (
            PosState.CANCELLED,
            Progress.CANCELLED,
            "withdrawn",
        )
        return _said(stored.answer())

    def _named(self, call: Call) -> StoredOrder:
        stored = self._world.orders.get(call.path_values["id"])
        if stored is None:
            raise Refusal(OrderError, "there is no such order", status=404)
        return stored

    def _menu(self, _: Call) -> Answer:
        return _said(self._world.menu)

    def _health(self, _: Call) -> Answer:
        world = self._world
        message = "" if world.store_open and world.register_online else "see the register"
        return _said(
            Health(
                store_open=world.store_open, register_online=world.register_online, message=message
            )
        )


def _said(value: BaseModel) -> Answer:
    return Answer(body=value.model_dump_json().encode())


def _same(given: str, wanted: str) -> bool:
    """Compare in a time that doesn't tell how much of it was right."""
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), wanted.encode())
