"""A POS's problem becomes a typed error: kind, lines, item, reason, wait and outcome."""

from __future__ import annotations

import json
from typing import Any

import pytest

from adapters.generic.store import ONCE, Store, always
from adapters.square.shop_orders import FLAT_WHITE, OAT, TOASTIE, paid
from tillpost import errors
from tillpost.adapter.base import unreachable
from tillpost.adapter.exchange import Request, Response, nothing
from tillpost.adapter.verdicts import judge
from tillpost.errors import Outcome, PosError
from tillpost_generic.adapter import Generic
from tillpost_generic.openapi import kinds

ORDER = paid("ord_1", [FLAT_WHITE.model_copy(update={"modifiers": (OAT,)}), TOASTIE])


def refused(**problem: Any) -> PosError:
    store = Store(policy=ONCE)
    store.simulator.refuse_orders(**problem)
    return store.refused(ORDER)


@pytest.mark.parametrize("kind", kinds())
def test_each_kind_of_problem_is_the_error_of_that_name(kind: str) -> None:
    error = refused(kind=kind, detail="no such luck")
    assert type(error).__name__ == kind
    assert (error.detail, error.code, error.platform) == ("no such luck", kind, "generic")
    assert error.outcome is (
        Outcome.UNKNOWN if kind in ("OutageError", "DoubtError") else Outcome.NOT_CREATED
    )
    assert error.remedy.manager


@pytest.mark.parametrize("status", [408, 409, 425, 499, 500, 502, 504])
@pytest.mark.parametrize("kind", ["OrderError", "MenuError", "RegisterOfflineError"])
def test_problem_with_a_status_that_proves_nothing_leaves_doubt(kind: str, status: int) -> None:
    error = refused(kind=kind, detail="no such luck", status=status)
    assert error.outcome is Outcome.UNKNOWN


def test_offline_register_at_503_proves_that_nothing_was_created() -> None:
    error = refused(kind="RegisterOfflineError", detail="no such luck", status=503)
    assert error.outcome is Outcome.NOT_CREATED


def test_the_kinds_are_the_errors_that_a_caller_branches_on() -> None:
    ours = {"PosError", "KeyRetiredError", "UnsupportedError"}  # what no POS can say
    classes = [found for name in errors.__all__ if isinstance(found := getattr(errors, name), type)]
    assert set(kinds()) == {kind.__name__ for kind in classes if issubclass(kind, PosError)} - ours


def test_every_row_is_reachable() -> None:
    assert unreachable(Generic.errors) == []


def test_problem_reports_lines_and_reason_in_own_fields() -> None:
    error = refused(kind="MenuError", lines=(1, 0, 7), reason="sold_out")
    assert (error.lines, error.reason) == ((0, 1), "sold_out")
    assert error.subjects == ("Flat white, regular (line 1)", "BLT toastie (line 2)")
    assert "sold out" in error.remedy.manager


@pytest.mark.parametrize(("item", "lines"), [("5312", (1,)), ("228", (0,)), ("nothing", ())])
def test_an_item_or_an_option_names_its_lines(item: str, lines: tuple[int, ...]) -> None:
    assert refused(kind="MenuError", item=item, reason="gone").lines == lines


def test_refused_token_sends_nobody_to_ask_for_a_person() -> None:
    remedy = refused(kind="PermissionsError").remedy
    assert "it was changed or withdrawn" in remedy.manager
    assert "the person who connected it" not in remedy.manager


def test_remedy_calls_the_pos_by_its_own_name() -> None:
    store = Store(policy=ONCE, pos_name="Acme POS")
    store.simulator.refuse_orders(kind="SetupError")
    remedy = store.refused(ORDER).remedy
    assert "The connection to Acme POS isn't set up correctly." in remedy.manager


def test_missing_scope_differs_from_bad_token() -> None:
    assert "isn't allowed" in refused(kind="PermissionsError", reason="scopes").remedy.manager


def test_retry_after_is_read_from_the_problem() -> None:
    assert refused(kind="RateLimitError", retry_after=7.5).retry_after == 7.5
    assert refused(kind="RateLimitError").retry_after is None


def test_retry_after_header_is_read_when_problem_has_none() -> None:
    asked = Request("GET", "/health", nothing)
    answer = Response(429, {"retry-after": "12"}, b'{"kind": "RateLimitError"}')
    error = judge(Store().adapter, asked, None, answer, 0).error
    assert error
    assert error.retry_after == 12


def test_unknown_kind_is_unknown_error_and_keeps_its_text() -> None:
    error = refused(kind="PrinterOnFireError", detail="please hurry")
    assert type(error) is errors.UnknownPosError
    assert (error.code, error.detail, error.outcome) == (
        "PrinterOnFireError",
        "please hurry",
        Outcome.UNKNOWN,
    )
    assert error.exchange
    assert "please hurry" in error.exchange.response_body


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (422, b"<html>Unprocessable</html>", errors.UnknownPosError),
        (422, b'{"kind": 7}', errors.UnknownPosError),
        (422, b'{"kind": "MenuError", "lines": ["0"]}', errors.MenuError),
        (422, b'{"kind": "MenuError", "lines": [-1]}', errors.UnknownPosError),
        (422, b'{"kind": "MenuError", "reason": "held"}', errors.UnknownPosError),
        (422, b"[]", errors.UnknownPosError),
        (401, b"", errors.OutageError),
        (403, b"{}", errors.OutageError),
        (429, b"", errors.RateLimitError),
        (500, b"", errors.OutageError),
        (503, b'{"kind": "Unheard"}', errors.OutageError),
        (307, b"", errors.SetupError),
        (200, b'{"kind": "MenuError"}', errors.OutageError),
    ],
)
def test_a_refusal_that_is_no_problem_of_ours_goes_by_its_status(
    status: int, body: bytes, kind: type[PosError]
) -> None:
    store = Store(policy=ONCE, twist=always(status, body))
    error = store.refused(ORDER)
    assert type(error) is kind
    assert error.outcome is (Outcome.NOT_CREATED if kind is errors.MenuError else Outcome.UNKNOWN)


def test_every_refusal_of_the_simulated_store_names_its_kind() -> None:
    for status in (404, 405, 413, 429, 500, 502, 503, 504):
        answer = Store().simulator.failure(status, retry_after=3)
        assert (answer.status, answer.content_type) == (status, "application/problem+json")
        assert json.loads(answer.body)["kind"] in kinds()
