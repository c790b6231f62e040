"""Errors: attributes survive pickling and the journal, and texts reveal no secret."""

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
from tillpost.models.base import LONGEST_WORDS
from tillpost.models.order import PosOrder
from tillpost.testing.adversary import LEGITIMATE, POISONS

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
    """Return an error without a default value in any attribute."""
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
    error.platform = "square"
    error.title = "Square"
    error.operation = "submit"
    error.request_id = "req-1"
    error.outcome = Outcome.UNKNOWN
    error.menu_imported = True
    error.support_contact = "Call 1300 000 000."
    error.exchange = Transcript(
        method="POST", path="/v2/orders", request_body=SECRET, response_body=SECRET
    )
    return error


def test_message_names_the_first_five_subjects_only() -> None:
    error = MenuError("not for sale", subjects=[f"item {number}" for number in range(1, 7)])
    assert str(error) == (
        "not for sale [item 1, item 2, item 3, item 4, item 5, ...] (outcome: not_created)"
    )


@pytest.mark.parametrize("kind", KINDS)
def test_transient_marks_errors_worth_retrying(kind: type[PosError]) -> None:
    assert kind.transient is TRANSIENT[kind]
    assert kind("x").transient is TRANSIENT[kind]


@pytest.mark.parametrize("kind", [RateLimitError, RegisterOfflineError, DoubtError])
def test_rate_limit_register_offline_and_doubt_are_outages(kind: type[PosError]) -> None:
    assert issubclass(kind, OutageError)


@pytest.mark.parametrize(("kind", "actor"), ACTORS.items())
def test_each_error_class_names_its_actor(kind: type[PosError], actor: Actor) -> None:
    assert kind("x").remedy.actor is actor


@pytest.mark.parametrize("kind", [k for k in KINDS if k is not KeyRetiredError])
def test_public_error_classes_import_from_tillpost(kind: type[PosError]) -> None:
    assert getattr(tillpost, kind.__name__) is kind
    assert tillpost.ConfigError is ConfigError


@pytest.mark.parametrize("kind", KINDS)
def test_pickle_preserves_all_attributes(kind: type[PosError]) -> None:
    error = filled(kind)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert vars(again) == vars(error)
    assert again.args == error.args


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("full", [True, False])
def test_record_round_trip_preserves_all_attributes(kind: type[PosError], full: bool) -> None:
    error = filled(kind) if full else kind()
    record = ErrorRecord.model_validate_json(error.record().model_dump_json())
    again = PosError.from_record(record)
    assert type(again) is kind
    assert vars(again) == vars(error)
    assert again.remedy == error.remedy


def test_record_of_unknown_kind_becomes_unknown_pos_error() -> None:
    assert error_named("FutureError") is UnknownPosError
    again = PosError.from_record(ErrorRecord(kind="FutureError", detail="new"))
    assert type(again) is UnknownPosError
    assert again.detail == "new"


@pytest.mark.parametrize("kind", KINDS)
def test_texts_reveal_nothing_of_the_exchange(kind: type[PosError]) -> None:
    error = filled(kind)
    for text in (str(error), repr(error), f"{error.remedy}"):
        assert SECRET not in text


def test_str_is_one_line_with_outcome() -> None:
    assert str(filled(MenuError)) == (
        "Square submit: 404 NOT_FOUND the item isn't for sale [BLT toastie (line 2)] "
        "(outcome: unknown)"
    )
    assert str(MenuError()) == "MenuError (outcome: not_created)"
    error = OutageError("timed out")
    error.platform = "square"
    assert str(error) == "square: timed out (outcome: not_created)"


def test_repr_shows_only_attributes_that_are_set() -> None:
    assert repr(filled(MenuError)) == (
        "MenuError(platform='square', operation='submit', status_code=404, code='NOT_FOUND', "
        "detail=\"the item isn't for sale\", lines=(1, 2), outcome=unknown, request_id='req-1')"
    )
    assert repr(OutageError("x")) == "OutageError(detail='x', outcome=not_created)"


@given(st.text(st.characters()), st.text(st.characters()))
def test_any_text_survives_the_record_and_can_be_encoded(detail: str, code: str) -> None:
    error = UnknownPosError(detail, code=code)
    again = PosError.from_record(ErrorRecord.model_validate_json(error.record().model_dump_json()))
    assert (again.detail, again.code) == (error.detail, error.code)
    f"{error}{error!r}{error.remedy.manager}{error.remedy.developer}".encode()


@pytest.mark.parametrize("name", LEGITIMATE)
def test_detail_that_people_write_is_unchanged(name: str) -> None:
    text = " ".join(LEGITIMATE[name].split())
    assert PosError(text).detail == text


@pytest.mark.parametrize("name", POISONS)
def test_poison_in_a_detail_is_one_short_line(name: str) -> None:
    error = PosError(POISONS[name], code=POISONS[name], subjects=(POISONS[name],))
    for text in (error.detail, error.code, *error.subjects, str(error), error.remedy.manager):
        assert text.isprintable()
        assert len(text) < 3_000


def test_record_from_outside_is_bounded() -> None:
    record = ErrorRecord(kind="MenuError", detail="x\n" * 50_000, request_id="\x1b[2J" * 9_000)
    error = PosError.from_record(record)
    assert len(error.detail) <= LONGEST_WORDS
    assert error.request_id.isprintable()


def test_lone_surrogate_and_nul_are_left_out() -> None:
    assert PosError("a\ud800b", code="\udc80\0").detail == "ab"
