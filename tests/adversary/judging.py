"""Answers of any kind and size, and what judging one costs."""

from __future__ import annotations

import json
import random
import resource
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adversary.worlds import PLATFORMS
from tillpost.adapter.base import Adapter
from tillpost.adapter.exchange import Effect, Request, Response, reading, reading_list
from tillpost.adapter.verdicts import Verdict, judge
from tillpost.models.menu import Menu
from tillpost.testing.adversary import LEGITIMATE, POISONS
from tillpost.transport.http import Limits, largest_body
from tillpost_generic.adapter import Generic
from tillpost_generic.settings import GenericSettings
from tillpost_generic.wire import Health, PosStatus
from tillpost_kounta import wire as kounta_wire
from tillpost_kounta.adapter import Kounta
from tillpost_kounta.settings import KountaSettings
from tillpost_square import wire as square_wire
from tillpost_square.adapter import Square
from tillpost_square.settings import SquareSettings

NOW = 1_795_000_000.0
LIMITS = Limits()


def _get(read: Callable[[bytes], Any], *, is_menu: bool = False) -> Request[Any]:
    return Request("GET", "/thing?email=a@b.example", read, is_menu=is_menu)


_CREATE = Request("POST", "/orders", reading(PosStatus), b'{"order": {}}', Effect.CREATE, "k-1")

ADAPTERS: Mapping[str, Adapter[Any]] = {
    "square": Square(SquareSettings.model_validate({"access_token": "t" * 20, "location_id": "L"})),
    "kounta": Kounta(
        KountaSettings.model_validate(
            {
                "access_token": "t" * 20,
                "company_id": "1",
                "site_id": "2",
                "payment_method_id": "3",
            }
        )
    ),
    "generic": Generic(
        GenericSettings.model_validate(
            {
                "base_url": "https://pos.example",
                "access_token": "t" * 20,
                "signing_key": "s" * 32,
            }
        )
    ),
}

REQUESTS: Mapping[str, Sequence[Request[Any]]] = {
    "square": (
        _get(reading(square_wire.OrdersPage)),
        _get(reading(square_wire.OneOrder)),
        _get(reading(square_wire.CatalogPage), is_menu=True),
        _CREATE,
    ),
    "kounta": (
        _get(reading_list(kounta_wire.Order)),
        _get(reading(kounta_wire.Order)),
        _get(reading_list(kounta_wire.Product), is_menu=True),
        _CREATE,
    ),
    "generic": (
        _get(reading_list(PosStatus)),
        _get(reading(Health)),
        _get(reading(Menu), is_menu=True),
        _CREATE,
    ),
}

_NAMES = (
    "id items orders objects errors error message detail kind name code notices lines payments "
    "variations groups options taxes site currency imported_at total reference status state type "
    "line_items item_data variations modifiers rate price unit_price product option_sets findings"
).split()
_ATOMS: Sequence[str] = (
    *'1 0 -1 1e999 -0.0 null true false "" {} [] 1E400'.split(),
    "9" * 4_000,
    "9" * 10_000,
    '"1e999999"',
    '"2026-11-27T00:00:00Z"',
    '"AUD"',
    r'"\ud800"',
    r'"\u0000"',
    '"token modifier product option 7302 "',
)
_TEXTS = (*POISONS.values(), *LEGITIMATE.values())
_STATUSES = (200, 200, 200, 201, 204, 302, 400, 401, 403, 404, 409, 422, 429, 500, 503)


def small_body(dice: random.Random) -> bytes:
    """Return a body of a few values, sometimes broken."""
    text = _value(dice, depth=4)
    body = text.encode("utf-8", "surrogatepass")
    if dice.random() < 0.2:
        body = body[: dice.randrange(len(body) + 1)]
    if dice.random() < 0.1:
        place = dice.randrange(len(body) + 1)
        body = body[:place] + dice.randbytes(3) + body[place:]
    return body


def _value(dice: random.Random, depth: int) -> str:
    kind = dice.random()
    if depth and kind < 0.3:
        names = [dice.choice(_NAMES) for _ in range(dice.randrange(5))]
        return "{" + ", ".join(f'"{name}": {_value(dice, depth - 1)}' for name in names) + "}"
    if depth and kind < 0.5:
        return "[" + ", ".join(_value(dice, depth - 1) for _ in range(dice.randrange(4))) + "]"
    if kind < 0.6:
        return json.dumps(dice.choice(_TEXTS))
    return dice.choice(_ATOMS)


def large_body(dice: random.Random, largest: int) -> bytes:
    """Return a body of up to `largest` bytes: one value repeated, nested or long."""
    size = int(largest * dice.choice((0.01, 0.05, 0.2, 1.0)))
    name = dice.choice(_NAMES)
    piece = _value(dice, depth=dice.randrange(3)).encode("utf-8", "surrogatepass")
    match dice.randrange(7):
        case 0:
            count = max(1, size // (len(piece) + 1))
            body = f'{{"{name}": ['.encode() + b",".join([piece] * count) + b"]}"
        case 1:
            count = max(1, size // (len(piece) + 1))
            body = b"[" + b",".join([piece] * count) + b"]"
        case 2:
            count = max(1, size // (len(piece) + len(name) + 4))
            body = b"{" + b",".join([f'"{name}":'.encode() + piece] * count) + b"}"
        case 3:
            count = max(1, size // (len(piece) + 14))
            members = [b'"n%d":%s' % (number, piece) for number in range(min(count, 400_000))]
            body = b"{" + b",".join(members) + b"}"
        case 4:
            unit = json.dumps(dice.choice(_TEXTS))[1:-1]
            long = (unit * (size // len(unit) + 1)).encode()
            body = f'{{"{name}": "'.encode() + long + b'"}'
        case 5:
            half = size // 2
            opening = dice.choice((b"[", b'{"a":'))
            body = opening * (half // len(opening)) + b"1" + b"]" * half
        case _:
            body = dice.choice((b" ", b"<p>", b"\0", b"9", b"-", b'"', b"\\", b"token ")) * size
    return body[:largest]


_MENU = b'{"site": "s", "currency": "AUD", "imported_at": "2026-11-27T00:00:00Z", '
_WIDE = "\U0001f600" + "a" * 90

DENSE: Mapping[str, tuple[str, int, bytes, str, bytes]] = {
    "unknown fields": ("generic", 2, b'{"a": 1', ', "n{number}": "' + _WIDE[:40] + '"', b"}"),
    "unknown fields of a menu": ("generic", 2, _MENU[:-2], ', "n{number}": "x"', b"}"),
    "faults": ("generic", 2, _MENU + b'"faults": [{}', ', {{"subject": "a", "text": "b"}}', b"]}"),
    "tables": ("generic", 2, _MENU + b'"tables": [""', f', "{_WIDE[:40]}"', b"]}"),
    "objects": ("square", 2, b'{"objects": [{}', f', {{{{"type": "X", "id": "{_WIDE}"}}}}', b"]}"),
    "orders": ("square", 0, b'{"orders": [{}', ', {{"id": "a"}}', b"]}"),
    "products": ("kounta", 2, b'[{"id": 1}', ', {{"id": {number}}}', b"]"),
    "sets of options": (
        "kounta",
        2,
        b'[{"id": 1, "name": "x", "option_sets": [{"id": 1}',
        f', {{{{"id": 1, "name": "{_WIDE}"}}}}',
        b"]}]",
    ),
}
"""Answers that take most memory for their size.

Each has the platform, the number of its request, how the body begins, what is repeated in it, and
how it ends.
"""


def dense_body(beginning: bytes, repeated: str, end: bytes, largest: int, parts: int) -> bytes:
    """Return a body of at most so many bytes and parts."""
    one = repeated.format(number=123_456)
    count = min(
        (largest - len(beginning) - len(end)) // len(one.encode()),
        (parts - 20) // (one.count(",") + one.count("[") + 3 * one.count("{")),
    )
    pieces = (repeated.format(number=number).encode() for number in range(count))
    return beginning + b"".join(pieces) + end


@dataclass(slots=True)
class Costs:
    """The most that any judgement took: seconds of CPU, and MB above the start."""

    seconds: float = 0.0
    megabytes: float = 0.0
    judged: int = 0
    large: int = 0
    slowest: str = ""


_FORGET_PEAK = Path("/proc/self/clear_refs")


def forget_peak() -> None:
    """Let the next `peak_megabytes` count from now, where the system can do that."""
    if _FORGET_PEAK.exists():
        _FORGET_PEAK.write_text("5")


def peak_megabytes() -> float:
    """Return the most memory that this process has had, in MB."""
    if _FORGET_PEAK.exists():
        status = Path("/proc/self/status").read_text().splitlines()
        (peak,) = (line for line in status if line.startswith("VmHWM:"))
        return int(peak.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _timed(adapter: Adapter[Any], request: Request[Any], answer: Response) -> tuple[Verdict, float]:
    began = time.thread_time()
    verdict = judge(adapter, request, None, answer, NOW)
    return verdict, time.thread_time() - began


def judge_many(seed: int, count: int) -> Costs:
    """Judge so many answers, a tenth of them large; return what the worst one cost."""
    dice = random.Random(seed)
    costs = Costs()
    forget_peak()
    at_start = peak_megabytes()
    for number in range(count):
        platform = dice.choice(PLATFORMS)
        request = dice.choice(REQUESTS[platform])
        is_large = number % 10 == 0
        largest = largest_body(LIMITS, request)
        body = large_body(dice, largest) if is_large else small_body(dice)
        headers = {"retry-after": dice.choice(_TEXTS)[:50_000], "x-request-id": dice.choice(_TEXTS)}
        answer = Response(dice.choice(_STATUSES), headers, body)
        forget_peak()
        verdict, took = _timed(ADAPTERS[platform], request, answer)
        if took > costs.seconds:  # a busy machine slows one, seldom three
            took = min(took, *(_timed(ADAPTERS[platform], request, answer)[1] for _ in range(2)))
        assert (verdict.reply is None) != (verdict.error is None)
        if verdict.error is not None:
            assert len(verdict.error.record().model_dump_json()) < 60_000
            verdict.error.record().model_dump_json().encode()
        costs.judged += 1
        costs.large += is_large
        costs.megabytes = max(costs.megabytes, peak_megabytes() - at_start)
        if took > costs.seconds:
            costs.seconds = took
            costs.slowest = f"{platform} {answer.status} {request.read} {len(body)} {body[:80]!r}"
    return costs
