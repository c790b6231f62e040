"""Which requests are repeated at once, when and how often: both kinds of Till, real server."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
import stamina

from core.conftest import QUICK, Opening
from core.toy import Toy, ToyItem, toy_order
from core.toy_server import Act, ToyServer, answer, hang, raw, refuse, reset, truncate, vanish
from tillpost import (
    Limits,
    OutageError,
    PermissionsError,
    Policy,
    PosError,
    RateLimitError,
    StoreClosedError,
)
from tillpost.adapter.base import Row
from tillpost.adapter.exchange import Effect, Fault, Request, Response, nothing
from tillpost.adapter.verdicts import Verdict
from tillpost.client.retry import RetryAfter, RetryBudget, retry_wait
from tillpost.errors import Applied, DoubtError, MenuError, Outcome
from tillpost.submission.commands import Transmit
from tillpost.submission.journal import MemoryJournal, Settled


def after(
    error: PosError | None,
    *,
    request: Request[None] | None = None,
    retries: int = 3,
    patience: float = 10.0,
    sends: int = 1,
    policy: Policy = QUICK,
) -> RetryAfter | None:
    def judge(answer: Response | Fault) -> Verdict:
        raise NotImplementedError

    transmit = Transmit(request or Request("GET", "/", nothing), judge, retries, patience)
    return RetryBudget(transmit, policy).next_retry(Verdict(Applied.MAYBE, error=error), sends)


def test_only_transient_failures_of_repeatable_requests_retry() -> None:
    create = Request("POST", "/", nothing, effect=Effect.CREATE)
    keyed = Request("POST", "/", nothing, effect=Effect.CREATE, key="k")
    side = Request("POST", "/", nothing, effect=Effect.SIDE)
    assert after(OutageError())
    assert after(OutageError(), request=keyed)
    assert after(None) is None
    assert after(MenuError()) is None
    assert after(DoubtError()) is None
    assert after(OutageError(), request=create) is None
    assert after(OutageError(), request=side) is None


def test_no_retry_without_a_budget() -> None:
    assert after(OutageError(), retries=0) is None
    assert after(OutageError(), patience=0) is None
    assert after(OutageError(), patience=-1) is None
    assert after(OutageError(), sends=4) is None


def test_own_wait_doubles_with_jitter_within_the_budget() -> None:
    policy = Policy(first_wait=1.0, longest_wait=6.0)
    for sends, longest in ((1, 1.0), (2, 2.0), (3, 4.0), (4, 6.0)):
        again = after(OutageError(), sends=sends, retries=9, policy=policy)
        assert again
        assert longest / 2 <= again.wait <= longest
    again = after(OutageError(), sends=4, retries=9, patience=0.5, policy=policy)
    assert again
    assert again.wait <= 0.5


def test_retry_after_is_waited_in_full_or_not_at_all() -> None:
    policy = Policy(longest_retry_after=5.0)
    again = after(RateLimitError(retry_after=4.0), policy=policy)
    assert again
    assert again.wait == 4.0
    assert after(RateLimitError(retry_after=6.0), policy=policy) is None
    assert after(RateLimitError(retry_after=4.0), patience=3.0, policy=policy) is None


def test_other_exceptions_are_not_retried() -> None:
    assert retry_wait(RetryAfter(0.5)) == 0.5
    assert retry_wait(ValueError()) is False


@pytest.mark.parametrize(
    "trouble", [reset(), truncate(), answer(503), answer(200, b"<html>"), raw(b"?\r\n\r\n")]
)
def test_read_is_repeated_until_it_succeeds(
    opening: Opening, server: ToyServer, trouble: Act
) -> None:
    server.on("GET /status", trouble, trouble)
    assert opening(server.adapter()).check().ready
    assert server.count("GET /status") == 3


def test_read_is_given_up_after_its_retries(opening: Opening, server: ToyServer) -> None:
    server.always("GET /status", answer(503))
    with pytest.raises(OutageError) as caught:
        opening(server.adapter()).check()
    assert (caught.value.sends, server.count("GET /status")) == (4, 4)


@pytest.mark.parametrize(
    "policy", [Policy(retries=0, first_wait=0.001), Policy(retry_seconds=0, first_wait=0.001)]
)
@pytest.mark.parametrize("keyed", [True, False])
def test_retries_can_be_turned_off(
    opening: Opening, server: ToyServer, policy: Policy, keyed: bool
) -> None:
    till = opening(server.adapter(keyed=keyed), policy=policy)
    server.always("GET /status", answer(503))
    server.always("POST /orders", answer(503))
    with pytest.raises(OutageError):
        till.check()
    with pytest.raises(OutageError):
        till.submit(toy_order(), is_new=True)
    assert server.count("GET /status") == 1
    assert server.count("POST /orders") == 1


def test_keyed_create_is_repeated_and_makes_one_order(opening: Opening, server: ToyServer) -> None:
    server.on("POST /orders", reset(), truncate(), answer(502, effect=True))
    opening(server.adapter()).submit(toy_order())
    assert server.count("POST /orders") == 4
    assert {seen.headers["idempotency-key"] for seen in server.seen} == {"ord-1-0"}
    assert len(server.made("ord-1")) == 1


@pytest.mark.parametrize(
    "trouble", [reset(), truncate(), answer(503, effect=True), answer(200, b"", effect=True)]
)
def test_keyless_create_is_looked_up_instead_of_repeated(
    opening: Opening, server: ToyServer, trouble: Act
) -> None:
    server.on("POST /orders", trouble)
    pos_order = opening(server.adapter(keyed=False)).submit(toy_order(), is_new=True)
    assert pos_order.id == "o1"
    assert [f"{seen.method} {seen.path}" for seen in server.seen] == [
        "POST /orders",
        "GET /orders?ref=ord-1",
    ]


def test_keyless_create_is_resent_after_the_last_look_up(
    opening: Opening, server: ToyServer
) -> None:
    server.on("POST /orders", reset(effect=False))
    opening(server.adapter(keyed=False)).submit(toy_order(), is_new=True)
    methods = [seen.method for seen in server.seen]
    assert (methods[0], methods[-1]) == ("POST", "POST")
    assert set(methods[1:-1]) == {"GET"}  # one look-up is enough after the schedule's end
    assert len(server.made("ord-1")) == 1


@pytest.mark.parametrize("retry_after", ["0", "Fri, 15 Jan 2027 08:00:01 GMT"])
def test_retry_after_is_waited_for(opening: Opening, server: ToyServer, retry_after: str) -> None:
    now = datetime(2027, 1, 15, 8, 0, 0, 900_000, UTC).timestamp()
    server.on("GET /status", answer(429, retry_after=retry_after))
    slow = Policy(first_wait=60, longest_wait=60)  # the wait without the platform's Retry-After
    began = time.monotonic()
    assert opening(server.adapter(), policy=slow, clock=lambda: now).check().ready
    assert time.monotonic() - began >= (0.0 if retry_after == "0" else 0.1)
    assert server.count("GET /status") == 2


@pytest.mark.parametrize("seconds", ["21", "100000"])
def test_too_long_retry_after_is_not_waited_for(
    opening: Opening, server: ToyServer, seconds: str
) -> None:
    server.on("GET /status", answer(429, retry_after=seconds))
    policy = Policy(retry_seconds=0.2, first_wait=0.3)
    with pytest.raises(RateLimitError) as caught:
        opening(server.adapter(), policy=policy).check()
    assert caught.value.retry_after == float(seconds)
    assert server.count("GET /status") == 1  # a request after the wait would have succeeded


def test_retry_after_that_makes_no_sense_is_ignored(opening: Opening, server: ToyServer) -> None:
    server.on("GET /status", answer(429, retry_after="1" * 500))
    policy = Policy(retry_seconds=0.2, first_wait=0.3)
    assert opening(server.adapter(), policy=policy).check().ready
    assert server.count("GET /status") == 2


def test_outage_is_raised_with_doubt_after_the_budget(opening: Opening, server: ToyServer) -> None:
    server.always("POST /orders", answer(503, effect=True))
    with pytest.raises(OutageError) as caught:
        opening(server.adapter()).submit(toy_order())
    assert caught.value.outcome is Outcome.UNKNOWN
    assert server.count("POST /orders") == QUICK.retries + 1


def test_refused_connection_leaves_no_doubt(opening: Opening, server: ToyServer) -> None:
    unreachable = server.adapter(base_url="http://127.0.0.1:9")
    with pytest.raises(OutageError) as caught:
        opening(unreachable).submit(toy_order())
    assert caught.value.outcome is Outcome.NOT_CREATED


def test_refusal_is_not_repeated(opening: Opening, server: ToyServer) -> None:
    server.on("GET /status", refuse("REVOKED", status=401))
    with pytest.raises(PosError):
        opening(server.adapter()).check()
    assert server.count("GET /status") == 1


def test_stamina_testing_mode_limits_retries(opening: Opening, server: ToyServer) -> None:
    slow = Policy(first_wait=60, longest_wait=60, retry_seconds=600, retries=2)
    till = opening(server.adapter(), policy=slow)
    server.on("GET /status", answer(503), answer(503), answer(503))
    with stamina.set_testing(True, attempts=2), pytest.raises(OutageError):
        till.check()
    assert server.count("GET /status") == 2
    stamina.set_active(False)
    try:
        with pytest.raises(OutageError):
            till.check()
    finally:
        stamina.set_active(True)
    assert server.count("GET /status") == 3


@pytest.mark.parametrize("keyed", [True, False])
def test_stamina_testing_mode_skips_a_submissions_waits(
    opening: Opening, server: ToyServer, keyed: bool
) -> None:
    slow = Policy(first_wait=60, longest_wait=60, retry_seconds=600, retries=3)
    till = opening(server.adapter(keyed=keyed), policy=slow)
    server.on("POST /orders", answer(503), answer(503))
    with stamina.set_testing(True, attempts=1):
        till.submit(toy_order(), is_new=True)
    assert server.count("POST /orders") == 3
    assert len(server.made("ord-1")) == 1


def test_retry_refused_after_lost_answer_finds_the_order(
    opening: Opening, server: ToyServer
) -> None:
    server.on("POST /orders", reset(), refuse("CLOSED", "closed for renovation"))
    pos_order = opening(server.adapter()).submit(toy_order())
    assert pos_order.id == "o1"
    assert server.count("POST /orders") == 2
    assert len(server.made("ord-1")) == 1


def test_unreachable_after_lost_answer_leaves_the_doubt(
    opening: Opening, server: ToyServer
) -> None:
    server.on("POST /orders", vanish())
    journal = MemoryJournal()
    with pytest.raises(OutageError) as caught:
        opening(server.adapter(), policy=QUICK, journal=journal).submit(toy_order())
    error = caught.value
    assert (error.applied, error.outcome) == (Applied.MAYBE, Outcome.UNKNOWN)
    settled = [event for event in journal.read("ord-1") if isinstance(event, Settled)]
    assert [event.applied for event in settled] == [Applied.MAYBE]


def test_refusal_after_a_refresh_keeps_the_doubt_before_it(
    opening: Opening, server: ToyServer
) -> None:
    class Doubtful(Toy):
        errors = (
            Row(
                PermissionsError,
                codes=frozenset({"STALE"}),
                refreshable=True,
                applied=Applied.MAYBE,
            ),
            *Toy.errors,
        )

    stale = refuse("STALE", status=401, effect=True)
    server.on("POST /orders", stale, refuse("CLOSED", "closed for renovation"))
    pos_order = opening(Doubtful(server.settings())).submit(toy_order())
    assert pos_order.id == "o1"
    assert server.count("POST /token") == 1
    assert len(server.made("ord-1")) == 1


def test_refused_retry_is_refused_for_good_once_looked_up(
    opening: Opening, server: ToyServer
) -> None:
    refused = refuse("CLOSED", "closed for renovation")
    server.on("POST /orders", answer(503), refused, refused)
    with pytest.raises(StoreClosedError) as caught:
        opening(server.adapter()).submit(toy_order())
    error = caught.value
    assert (error.applied, error.outcome) == (Applied.NO, Outcome.NOT_CREATED)
    assert server.count("GET /orders") == 2
    keys = [seen.headers["idempotency-key"] for seen in server.seen if seen.method == "POST"]
    assert keys == ["ord-1-0", "ord-1-0", "ord-1-1"]


def test_menu_error_on_a_retry_still_imports_the_menu(opening: Opening, server: ToyServer) -> None:
    server.items = [ToyItem(id="i2", sku="S1", name="Toast", price=1000)]
    server.on("POST /orders", answer(503))
    pos_order = opening(server.adapter()).submit(toy_order())
    assert pos_order.id == "o1"
    assert server.count("GET /menu") == 1
    assert len(server.made("ord-1")) == 1


def test_hang_is_cut_off_and_repeated(opening: Opening, server: ToyServer) -> None:
    server.on("GET /status", hang())
    till = opening(server.adapter(), policy=QUICK, limits=Limits(read=0.1, answer=0.2))
    assert till.check().ready


def test_retries_print_nothing_where_no_logging_is_set_up(server: ToyServer) -> None:
    server.on("GET /status", answer(503))
    program = """
import sys
from core.toy import Toy
from tillpost import Policy, Till
from tillpost.submission.context import Connection
settings = Toy.settings.model_validate({"base_url": sys.argv[1], "access_token": "made-up-token"})
with Till(Connection(Toy(settings), policy=Policy(first_wait=0.01))) as till:
    print(till.check().ready)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, server.url],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert (done.stdout, done.stderr) == ("True\n", "")
    assert server.count("GET /status") == 2
