"""A platform in memory, with an adapter that has keys and drafts, and one that has neither.

`Platform.answer` is a pure function of its state and a request; `run` drives a submission over it
on a clock that the test moves, can make any request fail before or after its effect, and can drop
the flow at any command."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar, cast

from pydantic import BaseModel

from tillpost.adapter.base import Adapter, AdapterSettings, Attempt, Found, Problem, Row
from tillpost.adapter.exchange import (
    Effect,
    Exchange,
    Fault,
    Request,
    Response,
    ask,
    pause,
    reading,
    to_body,
)
from tillpost.adapter.readiness import Readiness
from tillpost.errors import (
    Applied,
    DoubtError,
    KeyRetiredError,
    MenuError,
    OrderError,
    PermissionsError,
    PosError,
    TaxError,
)
from tillpost.models.menu import Item, Menu, Variation
from tillpost.models.order import Draft, Order, PosOrder
from tillpost.submission import commands
from tillpost.submission.commands import Flow
from tillpost.submission.context import Connection
from tillpost.submission.flow import Submission
from tillpost.submission.journal import MemoryJournal
from tillpost.submission.menu_import import import_menu
from tillpost.submission.policy import Policy

Failing = Callable[[Request[Any], int], "tuple[str, Response | Fault] | None"]
"""For a request and its number: None, or ("before" or "after" its effect, another answer)."""


class Made(BaseModel):
    """An order as the stand-in answers it."""

    id: str
    ref: str
    total: int
    state: str
    paid: bool


class Hits(BaseModel):
    """What a search finds."""

    orders: tuple[Made, ...] = ()


class Answer(BaseModel):
    """An answer that doesn't matter."""


class MenuAnswer(BaseModel):
    """Item ids with SKUs."""

    items: dict[str, str]


@dataclass
class Platform:
    """The platform's state: items by id, orders, and the first answer under each key."""

    items: dict[str, tuple[str, int]] = field(default_factory=lambda: {"i1": ("S1", 1000)})
    two_taxes: bool = False
    needs_payment: bool = True
    orders: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    keys: dict[str, tuple[str, Response]] = field(default_factory=dict[str, tuple[str, Response]])

    def shown(self, ref: str) -> list[dict[str, Any]]:
        """The orders that staff see."""
        mine = [o for o in self.orders.values() if o["ref"] == ref and o["state"] == "OPEN"]
        return [o for o in mine if o["paid"] or not self.needs_payment]

    def half_done(self) -> list[dict[str, Any]]:
        """The orders that are there and can't be seen."""
        return [
            o
            for o in self.orders.values()
            if o["state"] == "OPEN" and not o["paid"] and self.needs_payment
        ]

    def answer(self, request: Request[Any]) -> Response:
        """Do what the request asks, once for each key."""
        body: dict[str, Any] = json.loads(request.body or b"{}")
        key = body.pop("key", None)
        if key and key in self.keys:
            digest, first = self.keys[key]
            return first if digest == request.digest else refusal(400, "KEY_REUSED")
        verb, _, rest = request.path.partition("/")[2].partition("/")
        answer: Response = getattr(self, f"_{request.method.lower()}_{verb}")(rest, body)
        if key and answer.status < 300:
            self.keys[key] = (request.digest, answer)
        return answer

    def _post_orders(self, _: str, body: dict[str, Any]) -> Response:
        missing = [i for i, item in enumerate(body["items"]) if item not in self.items]
        if missing:
            return refusal(400, "GONE", f"line {missing[0]}")
        total = sum(
            self.items[i][1] * n for i, n in zip(body["items"], body["counts"], strict=True)
        )
        total = total + total // 10 if self.two_taxes else total
        if body.get("prices"):
            total = sum(p * n for p, n in zip(body["prices"], body["counts"], strict=True))
        made: dict[str, Any] = {
            "id": f"o{len(self.orders) + 1}",
            "ref": body["ref"],
            "total": total,
            "state": "OPEN",
            "paid": False,
        }
        self.orders[made["id"]] = made
        return success(made)

    def _post_pay(self, order_id: str, body: dict[str, Any]) -> Response:
        order = self.orders[order_id]
        if order["state"] != "OPEN":
            return refusal(400, "NOT_OPEN")
        if body["amount"] != order["total"]:
            return refusal(400, "AMOUNT")
        order["paid"] = True
        return success(order)

    def _post_cancel(self, order_id: str, _: dict[str, Any]) -> Response:
        self.orders[order_id]["state"] = "DEAD"
        return success(self.orders[order_id])

    def _get_orders(self, order_id: str, _: dict[str, Any]) -> Response:
        return success(self.orders[order_id])

    def _get_search(self, ref: str, _: dict[str, Any]) -> Response:
        return success({"orders": [o for o in self.orders.values() if o["ref"] == ref]})

    def _get_menu(self, _: str, __: dict[str, Any]) -> Response:
        return success({"items": {i: f"{sku}/{price}" for i, (sku, price) in self.items.items()}})


def success(content: object) -> Response:
    return Response(200, {}, json.dumps(content).encode())


def refusal(status: int, code: str, text: str = "") -> Response:
    return Response(status, {}, json.dumps({"error": code, "text": text}).encode())


class StandInSettings(AdapterSettings):
    """Nothing needed."""

    base_url: str = "http://127.0.0.1"


class Keyed(Adapter[StandInSettings]):
    """Creates with a key, then pays; what isn't paid is a draft."""

    platform = "keyed"
    title = "Keyed"
    settings = StandInSettings
    keyed = True
    look_after: Sequence[float] = (1.0, 3.0)
    errors: ClassVar[tuple[Row, ...]] = (
        Row(PermissionsError, codes=frozenset({"EXPIRED"}), refreshable=True),
        Row(PermissionsError, codes=frozenset({"REVOKED"})),
        Row(DoubtError, codes=frozenset({"KEY_REUSED"}), applied=Applied.MAYBE),
        Row(MenuError, codes=frozenset({"GONE"}), text=r"line (?P<line>\d+)"),
        Row(OrderError, status=(400, 404)),
    )

    def problems(self, response: Response) -> Sequence[Problem]:
        if response.status < 300:
            return ()
        try:
            body: object = json.loads(response.body)
        except ValueError:
            return ()
        if not isinstance(body, dict) or "error" not in body:
            return ()
        refusal = cast("dict[str, str]", body)
        return (Problem(refusal["error"], "", refusal["text"]),)

    def submit(self, order: Order, attempt: Attempt) -> Exchange[PosOrder]:
        key = f"{order.id}-{attempt.generation}" if self.keyed else None
        prices = [x.unit_price for x in order.lines] if attempt.keep_paid else None
        body = to_body(
            key=key,
            ref=order.id,
            items=[x.item_id for x in order.lines],
            counts=[x.quantity for x in order.lines],
            prices=prices,
        )
        made = yield from ask(Request("POST", "/orders", reading(Made), body, Effect.CREATE, key))
        return (yield from self.finish(order, Draft(id=made.id, total=made.total)))

    def finish(self, order: Order, draft: Draft) -> Exchange[PosOrder]:
        if draft.total != order.total:
            now = yield from ask(Request("GET", f"/orders/{draft.id}", reading(Made)))
            if now.state == "DEAD":
                raise KeyRetiredError("it was undone")
            yield from ask(
                Request("POST", f"/cancel/{draft.id}", reading(Made), effect=Effect.UNDO)
            )
            if draft.total * 10 == order.total * 11:
                raise TaxError("two taxes")
            raise MenuError("the price differs", reason="price", lines=[0])
        pay = Request(
            "POST",
            f"/pay/{draft.id}",
            reading(Made),
            to_body(amount=order.total, key=f"pay-{draft.id}"),
            Effect.ADVANCE, f"pay-{draft.id}",
        )  # fmt: skip
        try:
            paid = yield from ask(pay)
        except OrderError:
            raise KeyRetiredError("it was undone") from None
        return PosOrder(id=paid.id, reference=order.id, total=paid.total)

    def find(self, order: Order, since: float | None) -> Exchange[Found]:
        hits = yield from ask(Request("GET", f"/search/{order.id}", reading(Hits)))
        mine = [o for o in hits.orders if o.state == "OPEN"]
        for o in mine:
            if o.paid:
                return PosOrder(id=o.id, reference=o.ref, total=o.total)
        return Draft(id=mine[0].id, total=mine[0].total) if mine else None

    def fetch(self, pos_id: str) -> Exchange[PosOrder]:
        made = yield from ask(Request("GET", f"/orders/{pos_id}", reading(Made)))
        return PosOrder(id=made.id, reference=made.ref, status=made.state)

    def import_menu(self) -> Exchange[Menu]:
        answer = yield from ask(Request("GET", "/menu", reading(MenuAnswer)))
        return menu_of(
            {i: (v.split("/")[0], int(v.split("/")[1])) for i, v in answer.items.items()}
        )

    def check(self) -> Exchange[Readiness]:
        yield from pause(0.1)
        return Readiness(findings=())


class Keyless(Keyed):
    """Creates without a key, in one call; to be looked for before anything is sent twice."""

    platform = "keyless"
    title = "Keyless"
    keyed = False
    look_after = (5.0, 3.0, 3.0, 5.0)

    def finish(self, order: Order, draft: Draft) -> Exchange[PosOrder]:
        pos_order = PosOrder(id=draft.id, reference=order.id, total=draft.total)
        if draft.total != order.total:
            raise TaxError("the totals differ", pos_order=pos_order)
        return pos_order
        yield

    def find(self, order: Order, since: float | None) -> Exchange[Found]:
        hits = yield from ask(Request("GET", f"/search/{order.id}", reading(Hits)))
        if not hits.orders:
            return None
        first = hits.orders[0]
        return PosOrder(id=first.id, reference=first.ref, total=first.total)


def menu_of(items: dict[str, tuple[str, int]]) -> Menu:
    """A menu of those items: id, SKU and price."""
    return Menu(
        site="s",
        currency="AUD",
        imported_at=datetime(2026, 11, 23, tzinfo=UTC),
        items=tuple(
            Item(id=f"item-{i}", name=sku, variations=(Variation(id=i, sku=sku, price=price),))
            for i, (sku, price) in items.items()
        ),
    )


def an_order(
    order_id: str = "ord_1", *, item: str = "i1", sku: str = "S1", price: int = 1000, count: int = 1
) -> Order:
    """An order of one line."""
    line = {"item_id": item, "sku": sku, "name": sku, "quantity": count, "unit_price": price}
    return Order.model_validate(
        {
            "id": order_id,
            "code": "B1",
            "placed_at": "2026-11-23T11:52:07+11:00",
            "currency": "AUD",
            "lines": [line],
            "payments": [{"method": "card", "amount": price * count}],
        }
    )


class Dropped(BaseException):
    """The process died at this command."""


@dataclass
class Run:
    """Runs submissions over a platform, on a clock that moves only during waits."""

    platform: Platform
    adapter: Keyed = field(default_factory=lambda: Keyed(StandInSettings()))
    policy: Policy = field(default_factory=Policy)
    failing: Failing = lambda _request, _number: None
    refreshes: bool = False
    plugin_menu: Menu | None = None
    now: float = 1000.0
    drop_at: int | None = None
    commands: int = 0
    requests: list[Request[Any]] = field(default_factory=list[Request[Any]])
    announced: list[str] = field(default_factory=list[str])
    journal: MemoryJournal = field(default_factory=MemoryJournal)

    def __post_init__(self) -> None:
        self.connection = Connection(
            self.adapter, name="cafe", policy=self.policy, clock=lambda: self.now
        )

    def submit(self, order: Order, *, is_new: bool = False) -> PosOrder:
        """Submit, as a Till does."""
        submission = Submission(self.connection, order, self.journal.read(order.id))
        pos_order: PosOrder = self.drive(submission.flow(is_new=is_new), order.id)
        return pos_order

    def attempt(self, order: Order, *, is_new: bool = False) -> PosOrder | PosError:
        """Submit, and return the error if there is one."""
        try:
            return self.submit(order, is_new=is_new)
        except PosError as error:
            return error

    def drive(self, flow: Flow[Any], order_id: str = "") -> Any:
        """Carry out a flow's commands; die before the command numbered `drop_at`."""
        result: Any = None
        failure: PosError | None = None
        try:
            while True:
                try:
                    command = flow.throw(failure) if failure else flow.send(result)
                except StopIteration as end:
                    return end.value
                if self.commands == self.drop_at:
                    raise Dropped
                self.commands += 1
                result, failure = None, None
                match command:
                    case commands.Record(event):
                        self.journal.append(order_id, event)
                    case commands.Transmit():
                        result = commands.Transmission(
                            command.judge(self.send(command.request)), 1, NOBODY
                        )
                    case commands.Pause(seconds) | commands.Suspend(seconds):
                        self.now += seconds
                    case commands.ImportMenu():
                        try:
                            result = self.drive(import_menu(self.connection))
                        except PosError as error:
                            failure = error
                    case commands.Announce(hook, _):
                        self.announced.append(hook)
                    case commands.Refresh():
                        result = self.refreshes
                    case commands.Reimport():
                        result = self.plugin_menu
        finally:
            flow.close()

    def send(self, request: Request[Any]) -> Response | Fault:
        """Let the platform answer, unless the request is to fail."""
        self.requests.append(request)
        self.now += 0.01
        planned = self.failing(request, len(self.requests) - 1)
        if planned is None:
            return self.platform.answer(request)
        when, instead = planned
        if when == "after":
            self.platform.answer(request)
        return instead


NOBODY = StandInSettings().credentials()
LOST = Fault(Applied.MAYBE, "no answer in time")
REFUSED = Fault(Applied.NO, "no connection")
BROKEN = refusal(503, "DOWN")


def fail_on(path: str, *answers: tuple[str, Response | Fault]) -> Failing:
    """Make the first requests to a path fail, one after the other."""
    left = list(answers)

    def failing(request: Request[Any], _: int) -> tuple[str, Response | Fault] | None:
        return left.pop(0) if left and request.path.startswith(path) else None

    return failing
