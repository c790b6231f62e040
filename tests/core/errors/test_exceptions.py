"""Every kind of refusal keeps all it knows through pickling and the journal, says what to do, and hides secrets."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tillpost
from tillpost.errors import (
    Applied,
    ConfigError,
    DoubtError,
    ErrorRecord,
    KeyRetiredError,
    MenuError,
    OrderError,
    OutageError,
    Outcome,
    PermissionsError,
    PosError,
    RateLimitError,
    RegisterOfflineError,
    SetupError,
    StoreClosedError,
    TaxError,
    Transcript,
    UnknownPosError,
    UnsupportedError,
    error_named,
)
from tillpost.errors.remedies import Actor
from tillpost.models.order import PosOrder

TRANSIENT: dict[type[PosError], bool] = {
    MenuError: False,
    OutageError: True,
    RateLimitError: True,
    RegisterOfflineError: True,
    DoubtError: True,
    PermissionsError: False,
    TaxError: False,
    StoreClosedError: False,
    OrderError: False,
    SetupError: False,
    UnknownPosError: False,
    UnsupportedError: False,
    KeyRetiredError: False,
    PosError: False,
}
KINDS = list(TRANSIENT)
ACTORS = {
    MenuError: Actor.STORE,
    OutageError: Actor.OPERATIONS,
    PermissionsError: Actor.STORE,
    TaxError: Actor.STORE,
    StoreClosedError: Actor.STORE,
    OrderError: Actor.DEVELOPER,
    SetupError: Actor.DEVELOPER,
    UnknownPosError: Actor.SUPPORT,
}
SECRET = "EAAA-secret-token"


def filled(kind: type[PosError]) -> PosError:
    """An error of which nothing has its default."""
    error = kind(
        "the item isn't for sale",
        code="NOT_FOUND",
        status_code=404,
        lines=[1, 2],
        subjects=["BLT toastie (line 2)"],
        reason="gone",
        applied=Applied.MAYBE,
        retry_after=2.5,
        refreshable=True,
        pos_order=PosOrder(id="p1", reference="o1", total=1450),
    )
    error.platform, error.title, error.operation, error.request_id = (
        "square",
        "Square",
        "submit",
        "req-1",
    )
    error.outcome, error.menu_imported, error.support_contact = (
        Outcome.UNKNOWN,
        True,
        "Call 1300 000 000.",
    )
    error.exchange = Transcript(
        method="POST", path="/v2/orders", request_body=SECRET, response_body=SECRET
    )
    return error


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_known_which_kinds_are_worth_trying_again_unchanged(kind: type[PosError]) -> None:
    assert kind.transient is TRANSIENT[kind]
    assert kind("x").transient is TRANSIENT[kind]


@pytest.mark.parametrize("kind", [RateLimitError, RegisterOfflineError, DoubtError])
def test_a_busy_platform_and_a_lost_register_are_outages(kind: type[PosError]) -> None:
    assert issubclass(kind, OutageError)


@pytest.mark.parametrize(("kind", "actor"), ACTORS.items())
def test_each_kind_says_who_must_act(kind: type[PosError], actor: Actor) -> None:
    assert kind("x").remedy.actor is actor


@pytest.mark.parametrize("kind", [k for k in KINDS if k is not KeyRetiredError])
def test_each_kind_that_a_caller_can_meet_is_at_hand(kind: type[PosError]) -> None:
    assert getattr(tillpost, kind.__name__) is kind
    assert tillpost.ConfigError is ConfigError


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_is_pickled_with_all_it_knows(kind: type[PosError]) -> None:
    error = filled(kind)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert vars(again) == vars(error)
    assert again.args == error.args


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("full", [True, False])
def test_an_error_comes_back_from_its_record(kind: type[PosError], full: bool) -> None:
    error = filled(kind) if full else kind()
    record = ErrorRecord.model_validate_json(error.record().model_dump_json())
    again = PosError.from_record(record)
    assert type(again) is kind
    assert vars(again) == vars(error)
    assert again.remedy == error.remedy


def test_a_record_of_a_kind_that_is_not_known_comes_back_as_unknown() -> None:
    assert error_named("FutureError") is UnknownPosError
    again = PosError.from_record(ErrorRecord(kind="FutureError", detail="new"))
    assert type(again) is UnknownPosError
    assert again.detail == "new"


@pytest.mark.parametrize("kind", KINDS)
def test_the_texts_of_an_error_show_nothing_of_the_exchange(kind: type[PosError]) -> None:
    error = filled(kind)
    for text in (str(error), repr(error), f"{error.remedy}"):
        assert SECRET not in text


def test_an_error_reads_as_one_line_for_support() -> None:
    assert str(filled(MenuError)) == (
        "Square submit: 404 NOT_FOUND the item isn't for sale [BLT toastie (line 2)] (order unknown)"
    )
    assert str(MenuError()) == "MenuError (order not_created)"
    error = OutageError("timed out")
    error.platform = "square"
    assert str(error) == "square: timed out (order not_created)"


def test_a_log_shows_what_matters() -> None:
    assert repr(filled(MenuError)) == (
        "MenuError(platform='square', operation='submit', status_code=404, code='NOT_FOUND', "
        "detail=\"the item isn't for sale\", lines=(1, 2), outcome=unknown, request_id='req-1')"
    )
    assert repr(OutageError("x")) == "OutageError(detail='x', outcome=not_created)"


@given(st.text(st.characters()), st.text(st.characters()))
def test_whatever_a_platform_says_can_be_kept_and_shown(detail: str, code: str) -> None:
    error = UnknownPosError(detail, code=code)
    again = PosError.from_record(ErrorRecord.model_validate_json(error.record().model_dump_json()))
    assert (again.detail, again.code) == (error.detail, error.code)
    f"{error}{error!r}{error.remedy.manager}{error.remedy.developer}".encode()


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_detail_that_can_be_kept_is_kept_as_it_is(detail: str) -> None:
    assert PosError(detail).detail == detail


def test_a_lone_surrogate_is_replaced() -> None:
    assert PosError("a\ud800b", code="\udc80").detail == "a?b"
