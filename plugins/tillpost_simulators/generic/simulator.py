"""The API of the simulated generic POS.

Here are its addresses, access checks and operations.

    with serve_in_thread(GenericSimulator()) as running:
        Till.connect("generic", **running.settings)

Every request is checked in this order: the credential, the timestamp, the signature. Then its
operation runs. A refused request changes nothing and uses up no idempotency key.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias, cast

from pydantic import BaseModel, ValidationError
from pydantic_core import to_json

from tillpost.errors import (
    DoubtError,
    OrderError,
    OutageError,
    PermissionsError,
    PosError,
    RateLimitError,
    RegisterOfflineError,
    SetupError,
    StoreClosedError,
)
from tillpost.models.base import explain
from tillpost.models.order import Order, PosState, Progress
from tillpost.simulator import Answer, Call, FaultPlan, Ledger, LedgerEntry, Route, Section
from tillpost_generic.signature import signed_text
from tillpost_generic.wire import Health, NewOrder
from tillpost_simulators.generic.actions import StoreActions
from tillpost_simulators.generic.order_pricing import price
from tillpost_simulators.generic.register import ledger
from tillpost_simulators.generic.register_view import register_rows
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
    """One store whose POS serves the generic format, on its own server.

    Args:
        settings: The initial state of the store.
        faults: The fault plan to start with; no faults by default.
    """

    def __init__(
        self, settings: WorldSettings | None = None, faults: FaultPlan | None = None
    ) -> None:
        self.settings = settings or WorldSettings()
        super().__init__(faults)

    def new_world(self) -> World:
        """Return the store in its initial state."""
        return new_world(self.settings)

    def routes(self) -> Sequence[Route]:
        """Return the addresses of the format."""
        operations: tuple[tuple[str, str, Operation], ...] = (
            ("POST", "/orders", self._create),
            ("GET", "/orders", self._find),
            ("GET", "/orders/{id}", self._fetch),
            ("POST", "/orders/{id}/cancel", self._cancel),
            ("GET", "/menu", self._menu),
            ("GET", "/health", self._health),
        )
        return [
            Route(method, path, self._with_access_check(operation))
            for method, path, operation in operations
        ]

    def ledger(self) -> Ledger:
        """Return the orders as staff see them now."""
        with self.lock:
            return ledger(self.world)

    def register_rows(self, entry: LedgerEntry) -> Sequence[Section]:
        """Return the sections of an order's view, as the register shows it."""
        return register_rows(self.world.orders[entry.order_id])

    def connection_settings(self, url: str) -> Mapping[str, str]:
        """Return the settings that connect a till.

        `allow_private` is among them, since the address guard refuses private addresses.
        """
        settings = {"base_url": url}
        if self.settings.username:
            settings["username"] = self.settings.username
        settings["access_token"] = self.settings.access_token
        settings["signing_key"] = self.settings.signing_key
        settings["allow_private"] = "true"
        return settings

    def failure(self, status: int, retry_after: int | None = None) -> Answer:
        """Return a problem for a status that no operation chose."""
        kind: type[PosError] = OutageError
        if status < 429:
            kind = SetupError
        elif status == 429:
            kind = RateLimitError
        refusal = Refusal(kind, f"status {status}", status=status, retry_after=retry_after)
        return refusal.answer()

    # --- access ---

    def _with_access_check(self, operation: Operation) -> Operation:
        def handle(call: Call) -> Answer:
            try:
                self._check_credential(call)
                self._check_signature(call)
                return operation(call)
            except Refusal as refusal:
                return refusal.answer()

        return handle

    def _check_credential(self, call: Call) -> None:
        settings = self.settings
        expected = f"Bearer {settings.access_token}"
        if settings.username:
            pair = f"{settings.username}:{settings.access_token}"
            expected = f"Basic {b64encode(pair.encode()).decode()}"
        given = call.headers.get("authorization", "")
        if self.world.revoked or not _equal(given, expected):
            raise Refusal(PermissionsError, "the credential isn't valid here")

    def _check_signature(self, call: Call) -> None:
        settings = self.settings
        sent_at = call.headers.get("tillpost-timestamp", "")
        is_recent = False
        if sent_at.isdecimal():
            age = settings.clock() - int(sent_at)
            is_recent = abs(age) <= settings.tolerance
        if not is_recent:
            raise Refusal(PermissionsError, "the request is too old, or from the future")
        key = call.headers.get("idempotency-key", "")
        text = signed_text(sent_at, call.method, call.target, key, call.body)
        signing_key = self.world.signing_key.encode()
        expected = hmac.new(signing_key, text, hashlib.sha256).hexdigest()
        given = call.headers.get("tillpost-signature", "")
        if not _equal(given, expected):
            raise Refusal(PermissionsError, "the signature is wrong")

    # --- operations ---

    def _create(self, call: Call) -> Answer:
        key = call.headers.get("idempotency-key", "")
        if not key:
            raise Refusal(SetupError, "an order needs an Idempotency-Key")
        digest = hashlib.sha256(call.body).hexdigest()
        replay = self.world.replays.get(key)
        if replay is not None:
            if replay.digest != digest:
                raise Refusal(DoubtError, "the key was used for another body")
            return replay.answer
        try:
            new = NewOrder.model_validate_json(call.body)
        except ValidationError as error:
            raise Refusal(OrderError, explain(error)) from None
        answer = self._accept(new)
        self.world.replays[key] = Replay(digest, answer)
        return answer

    def _accept(self, new: NewOrder) -> Answer:
        world = self.world
        if world.refusal and _has_field(new.order, world.refusal.order_field):
            raise world.refusal
        if self._has_order(new.order.id):
            raise Refusal(DoubtError, "an order with that reference is there, under another key")
        if not world.store_open:
            raise Refusal(StoreClosedError, "the store takes no online orders now")
        if not world.register_online:
            raise Refusal(RegisterOfflineError, "the register isn't connected")
        bill = price(world.menu, new)
        world.made += 1
        stored = StoredOrder(f"G{world.made:05}", new, bill.total, bill.tax)
        world.orders[stored.id] = stored
        return _json(stored.answer())

    def _has_order(self, reference: str) -> bool:
        """Return whether an order with this reference exists and isn't cancelled."""
        return any(
            stored.order.id == reference and stored.state is not PosState.CANCELLED
            for stored in self.world.orders.values()
        )

    def _find(self, call: Call) -> Answer:
        reference = call.query.get("reference")
        if reference is None:
            raise Refusal(SetupError, "a search needs a reference")
        found = [
            stored.answer() for stored in self.world.orders.values() if stored.order.id == reference
        ]
        return Answer(body=to_json(found))

    def _fetch(self, call: Call) -> Answer:
        return _json(self._order_in_path(call).answer())

    def _cancel(self, call: Call) -> Answer:
        stored = self._order_in_path(call)
        if stored.progress is Progress.COMPLETED or stored.state is PosState.REJECTED:
            raise Refusal(OrderError, f"it can't be withdrawn any more: {stored.status}")
        stored.state = PosState.CANCELLED
        stored.progress = Progress.CANCELLED
        stored.status = "withdrawn"
        return _json(stored.answer())

    def _order_in_path(self, call: Call) -> StoredOrder:
        stored = self.world.orders.get(call.path_values["id"])
        if stored is None:
            raise Refusal(OrderError, "there is no such order", status=404)
        return stored

    def _menu(self, _: Call) -> Answer:
        world = self.world
        if not world.oddities:
            return _json(world.menu)
        return Answer.of(_spoiled(world.menu.model_dump(mode="json"), world.oddities))

    def _health(self, _: Call) -> Answer:
        world = self.world
        ready = world.store_open and world.register_online
        health = Health(
            store_open=world.store_open,
            register_online=world.register_online,
            message="" if ready else "see the register",
            currency=world.menu.currency,
        )
        return _json(health)


def _json(value: BaseModel) -> Answer:
    return Answer(body=value.model_dump_json().encode())


def _spoiled(value: object, oddities: Mapping[str, Mapping[str, object]]) -> object:
    """Return JSON in which the objects with these ids have other fields."""
    if isinstance(value, list):
        return [_spoiled(each, oddities) for each in cast("list[object]", value)]
    if not isinstance(value, dict):
        return value
    fields = cast("dict[str, object]", value)
    own = {name: _spoiled(each, oddities) for name, each in fields.items()}
    return own | dict(oddities.get(str(own.get("id")), {}))


def _equal(given: str, expected: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), expected.encode())


def _has_field(order: Order, field: str) -> bool:
    """Return whether an order has this optional field; any order has the empty one."""
    if not field:
        return True
    if field == "customer":
        return _has_field(order, "customer.phone") or _has_field(order, "customer.email")
    value: object = order
    for name in field.split("."):
        value = getattr(value, name, None)
    # Without a customer's name, the order's code stands for it.
    return value not in (None, "", order.code)
