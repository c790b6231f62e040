"""The fold and the decision as tables: what is known after which events, and the next step."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tillpost.adapter.exchange import Effect
from tillpost.errors import Applied, ErrorRecord, Outcome
from tillpost.models.order import Draft, PosOrder
from tillpost.submission.erasure import event_without_texts
from tillpost.submission.history import (
    Action,
    History,
    Step,
    fold,
    next_step,
    pruned,
)
from tillpost.submission.journal import (
    UNKNOWN_LEAD,
    Cancelled,
    DoubtResolved,
    Event,
    Failed,
    Imported,
    Intended,
    KeyRetired,
    LookedUp,
    OfTicket,
    Settled,
    Sighted,
    SubmissionRequested,
    Submitted,
)
from tillpost.submission.policy import Policy

THERE = PosOrder(id="o1")
DRAFT = Draft(id="o1", total=1000)
ASKED = SubmissionRequested(0, "d")


def create(at: float = 1, generation: int = 0, key: str | None = "k") -> Intended:
    return Intended(at, Effect.CREATE, generation, key, "body")


def pay(at: float = 2) -> Intended:
    return Intended(at, Effect.ADVANCE, 0, "p", "body")


def undo(at: float = 2, generation: int = 0) -> Intended:
    return Intended(at, Effect.UNDO, generation, None, "body")


def failed(
    kind: str, at: float = 3, outcome: Outcome = Outcome.NOT_CREATED, **facts: object
) -> Failed:
    return Failed(
        at, ErrorRecord.model_validate({"kind": kind, "detail": "", "outcome": outcome, **facts})
    )


ARRIVED = Submitted(2, THERE)
NO, MAYBE, YES = (Settled(2, applied) for applied in (Applied.NO, Applied.MAYBE, Applied.YES))

OUTCOMES: list[tuple[str, list[Event], Outcome, int]] = [
    ("nothing was sent", [ASKED], Outcome.NOT_CREATED, 0),
    ("a create left and nothing came back", [ASKED, create()], Outcome.UNKNOWN, 0),
    ("a create was refused", [ASKED, create(), NO], Outcome.NOT_CREATED, 0),
    ("a create may have worked", [ASKED, create(), MAYBE], Outcome.UNKNOWN, 0),
    (
        "a second one that never left doesn't clear it",
        [ASKED, create(), MAYBE, create(), NO],
        Outcome.UNKNOWN,
        0,
    ),
    ("it was created and not paid", [ASKED, create(), YES, pay(), NO], Outcome.UNKNOWN, 0),
    ("it was undone", [ASKED, create(), YES, undo(), YES], Outcome.NOT_CREATED, 1),
    (
        "an undo that may have worked leaves the doubt",
        [ASKED, create(), YES, undo(), MAYBE],
        Outcome.UNKNOWN,
        0,
    ),
    (
        "it was looked for to the end",
        [ASKED, create(), MAYBE, LookedUp(9, None), DoubtResolved(9)],
        Outcome.NOT_CREATED,
        1,
    ),
    ("it was found cancelled", [ASKED, create(), YES, KeyRetired(3)], Outcome.NOT_CREATED, 1),
    ("a draft was found", [ASKED, LookedUp(1, DRAFT)], Outcome.UNKNOWN, 0),
    (
        "it had arrived, and was refused late",
        [ASKED, create(), YES, ARRIVED, failed("MenuError")],
        Outcome.NOT_CREATED,
        1,
    ),
    (
        "refused after arrival, in doubt",
        [ASKED, create(), YES, ARRIVED, failed("MenuError", outcome=Outcome.UNKNOWN)],
        Outcome.UNKNOWN,
        0,
    ),
]


@pytest.mark.parametrize(
    ("events", "outcome", "generation"), [o[1:] for o in OUTCOMES], ids=[o[0] for o in OUTCOMES]
)
def test_outcome_is_a_fold_over_all_requests(
    events: list[Event], outcome: Outcome, generation: int
) -> None:
    history = fold(events)
    assert history.outcome(keyed=True) is outcome
    assert history.generation == generation


def test_keyless_order_not_known_as_new_is_in_doubt() -> None:
    assert fold([SubmissionRequested(0, "d")]).outcome(keyed=False) is Outcome.UNKNOWN
    assert (
        fold([SubmissionRequested(0, "d", is_new=True)]).outcome(keyed=False) is Outcome.NOT_CREATED
    )
    assert fold([ASKED, LookedUp(1, None)]).outcome(keyed=False) is Outcome.NOT_CREATED


LATE = failed("MenuError", 100)
MENU, OUTAGE, TAX = failed("MenuError"), failed("OutageError"), failed("TaxError")
BARRED = failed("PermissionsError", outcome=Outcome.UNKNOWN, operation="find")
REFUSED = failed("OrderError", outcome=Outcome.UNKNOWN, operation="submit")
LINE_1, LINE_2, LINE_3 = (failed("MenuError", lines=(line,)) for line in range(3))
STEPS: list[tuple[str, list[Event], float, bool, Action]] = [
    ("a new order is submitted", [ASKED], 0, True, Action.SUBMIT),
    ("without a key it is looked up first", [ASKED], 0, False, Action.LOOK_UP),
    (
        "one that was looked for in vain is submitted",
        [ASKED, LookedUp(1, None)],
        1,
        False,
        Action.SUBMIT,
    ),
    ("a found order is done", [ASKED, LookedUp(1, THERE)], 1, False, Action.DONE),
    ("an arrived order is done", [ASKED, Submitted(1, THERE)], 1, True, Action.DONE),
    (
        "one that was cancelled is done",
        [ASKED, Submitted(1, THERE), Cancelled(2, THERE)],
        2,
        True,
        Action.DONE,
    ),
    ("a draft is finished", [ASKED, LookedUp(1, DRAFT)], 1, True, Action.FINISH),
    ("doubt with a key is resent", [ASKED, create()], 2, True, Action.SUBMIT),
    (
        "doubt without a key waits for the schedule",
        [ASKED, create(1, key=None)],
        1.5,
        False,
        Action.WAIT,
    ),
    (
        "doubt without a key is looked into when due",
        [ASKED, create(1, key=None)],
        2.5,
        False,
        Action.LOOK_UP,
    ),
    (
        "after a look-up the next one is waited for",
        [ASKED, create(1, key=None), LookedUp(2.5, None)],
        3,
        False,
        Action.WAIT,
    ),
    (
        "a look-up before the send doesn't count",
        [ASKED, LookedUp(0.5, None), create(1, key=None)],
        9,
        False,
        Action.LOOK_UP,
    ),
    (
        "only the last look-up of the schedule resolves the doubt",
        [ASKED, create(1, key=None), LookedUp(2.5, None), LookedUp(5.5, None)],
        6,
        False,
        Action.RESOLVE_DOUBT,
    ),
    (
        "a spoiled key needs a look-up",
        [ASKED, create(), failed("DoubtError")],
        9,
        True,
        Action.LOOK_UP,
    ),
    (
        "a late look-up that found an unpayable draft resolves no doubt",
        [
            ASKED,
            create(),
            failed("DoubtError"),
            LookedUp(9, DRAFT),
            pay(9),
            MAYBE,
            failed("OutageError", 9),
        ],
        12,
        True,
        Action.LOOK_UP,
    ),
    (
        "nor does it where nothing was sent from here",
        [ASKED, LookedUp(1, DRAFT), pay(1), MAYBE, failed("OutageError", 1)],
        4,
        False,
        Action.LOOK_UP,
    ),
    ("an outage is waited out", [ASKED, OUTAGE], 3, True, Action.WAIT),
    ("after the wait it is tried again", [ASKED, OUTAGE], 4, True, Action.SUBMIT),
    ("too many tries stop it", [ASKED, OUTAGE, OUTAGE, OUTAGE], 9, True, Action.STOP),
    ("after too long a time it stops", [ASKED, OUTAGE], 31, True, Action.STOP),
    (
        "a wait that is too long stops it",
        [ASKED, failed("OutageError", retry_after=99.0)],
        4,
        True,
        Action.STOP,
    ),
    (
        "a new asking begins a new budget",
        [ASKED, OUTAGE, OUTAGE, OUTAGE, SubmissionRequested(50, "d")],
        50,
        True,
        Action.SUBMIT,
    ),
    ("a menu error imports", [ASKED, MENU], 4, True, Action.IMPORT_MENU),
    (
        "a misfit with the known menu imports",
        [ASKED, failed("TaxError", operation="precheck")],
        4,
        True,
        Action.IMPORT_MENU,
    ),
    (
        "an import that changed something submits",
        [ASKED, MENU, Imported(4, changed=True)],
        5,
        True,
        Action.SUBMIT,
    ),
    (
        "an import that changed nothing stops",
        [ASKED, MENU, Imported(4, changed=False)],
        5,
        True,
        Action.STOP,
    ),
    (
        "a menu error that comes late imports",
        [ASKED, create(), YES, ARRIVED, MENU],
        4,
        True,
        Action.IMPORT_MENU,
    ),
    (
        "one that comes late after healing stops",
        [ASKED, MENU, Imported(4, changed=True), create(), YES, ARRIVED, MENU],
        5,
        True,
        Action.STOP,
    ),
    (
        "one that comes late has a budget of its own",
        [
            ASKED,
            OUTAGE,
            OUTAGE,
            create(),
            YES,
            ARRIVED,
            failed("MenuError", 100),
            Imported(101, changed=True),
            failed("OutageError", 102),
        ],
        103.9,
        True,
        Action.SUBMIT,
    ),
    (
        "refused after arrival but still created is done",
        [ASKED, create(), YES, ARRIVED, failed("TaxError", outcome=Outcome.CREATED)],
        9,
        True,
        Action.DONE,
    ),
    (
        "a menu error after healing stops",
        [ASKED, MENU, Imported(4, changed=True), MENU],
        5,
        True,
        Action.STOP,
    ),
    (
        "another line refused after healing imports again",
        [ASKED, LINE_3, Imported(4, changed=True), LINE_1],
        5,
        True,
        Action.IMPORT_MENU,
    ),
    (
        "and is submitted if that changed something",
        [ASKED, LINE_3, Imported(4, changed=True), LINE_1, Imported(5, changed=True)],
        6,
        True,
        Action.SUBMIT,
    ),
    (
        "a line that was imported for before stops",
        [ASKED, LINE_3, Imported(4, changed=True), LINE_1, Imported(5, changed=True), LINE_3],
        6,
        True,
        Action.STOP,
    ),
    (
        "a third line stops",
        [ASKED, LINE_3, Imported(4, changed=True), LINE_1, Imported(5, changed=True), LINE_2],
        6,
        True,
        Action.STOP,
    ),
    (
        "another line that our own check refuses after an import stops",
        [
            ASKED,
            LINE_3,
            Imported(4, changed=True),
            failed("MenuError", lines=(0,), operation="precheck"),
        ],
        5,
        True,
        Action.STOP,
    ),
    ("any other error stops", [ASKED, TAX], 4, True, Action.STOP),
    (
        "one that may have worked itself stops",
        [ASKED, create(), MAYBE, REFUSED],
        9,
        True,
        Action.STOP,
    ),
    (
        "one in doubt waits for the look-up schedule",
        [ASKED, create(), MAYBE, create(), NO, REFUSED],
        2.5,
        True,
        Action.WAIT,
    ),
    (
        "and is looked up when due",
        [ASKED, create(), MAYBE, create(), NO, REFUSED],
        9,
        True,
        Action.LOOK_UP,
    ),
    (
        "an unchanged menu in doubt is looked up, too",
        [ASKED, create(), MAYBE, create(), NO, MENU, Imported(4, changed=False)],
        9,
        True,
        Action.LOOK_UP,
    ),
    (
        "the last empty look-up resolves its doubt",
        [ASKED, create(), MAYBE, create(), NO, REFUSED, LookedUp(9, None), LookedUp(12, None)],
        12,
        True,
        Action.RESOLVE_DOUBT,
    ),
    (
        "once it is resolved, the error stops",
        [
            ASKED,
            create(),
            MAYBE,
            create(),
            NO,
            REFUSED,
            LookedUp(9, None),
            LookedUp(12, None),
            DoubtResolved(12),
        ],
        12,
        True,
        Action.STOP,
    ),
    (
        "a draft of it is finished",
        [ASKED, create(), MAYBE, create(), NO, REFUSED, LookedUp(9, DRAFT)],
        9,
        True,
        Action.FINISH,
    ),
    (
        "a draft that is refused, too, stops",
        [ASKED, create(), MAYBE, create(), NO, REFUSED, LookedUp(9, DRAFT), REFUSED],
        9,
        True,
        Action.STOP,
    ),
    (
        "a look-up that is refused stops",
        [
            ASKED,
            create(),
            MAYBE,
            create(),
            NO,
            REFUSED,
            failed("PermissionsError", operation="find"),
        ],
        9,
        True,
        Action.STOP,
    ),
    (
        "an error is forgotten when asked again",
        [ASKED, TAX, SubmissionRequested(5, "d")],
        5,
        True,
        Action.SUBMIT,
    ),
    (
        "a created but wrong order stops, requested again or not",
        [ASKED, failed("TaxError", outcome=Outcome.CREATED), SubmissionRequested(5, "d")],
        5,
        True,
        Action.STOP,
    ),
    (
        "what was undone just now stops",
        [ASKED, create(), YES, undo(), YES, TAX],
        4,
        True,
        Action.STOP,
    ),
    (
        "what had been made before the asking and is undone now goes once more",
        [ASKED, create(), SubmissionRequested(5, "d"), undo(), YES, TAX],
        6,
        True,
        Action.SUBMIT,
    ),
    (
        "once more, and not for ever",
        [ASKED, create(), SubmissionRequested(5, "d"), undo(), YES, TAX, TAX],
        6,
        True,
        Action.STOP,
    ),
    (
        "a draft of unknown origin that is undone goes once more",
        [ASKED, undo(), YES, TAX],
        6,
        True,
        Action.SUBMIT,
    ),
    (
        "many cancelled orders under the keys stop it",
        [ASKED, *[KeyRetired(1)] * 9],
        6,
        True,
        Action.STOP,
    ),
]


@pytest.mark.parametrize(
    ("events", "now", "keyed", "do"), [s[1:] for s in STEPS], ids=[s[0] for s in STEPS]
)
def test_next_step_follows_from_the_events(
    events: list[Event], now: float, keyed: bool, do: Action
) -> None:
    assert decide(events, now, keyed=keyed).action is do


def decide(events: list[Event], now: float, *, keyed: bool, address: str = "") -> Step:
    policy = Policy(retries=2, retry_seconds=30, first_wait=1)
    return next_step(
        fold(events),
        now,
        order_id="ord_1",
        keyed=keyed,
        look_after=(1.0, 3.0),
        policy=policy,
        address=address,
    )


def test_resolved_doubt_makes_a_refusal_not_created() -> None:
    looked_up: list[Event] = [LookedUp(9, None), LookedUp(12, None), DoubtResolved(12)]
    refused = fold([ASKED, create(), MAYBE, create(), NO, REFUSED, *looked_up])
    assert refused.failure
    assert refused.failure.error.outcome is Outcome.NOT_CREATED
    assert fold([ASKED, create(), MAYBE, OUTAGE, *looked_up]).failure is None


def given_up(at: float) -> Settled:
    return Settled(at, Applied.MAYBE)


def test_look_ups_count_from_when_the_request_was_given_up() -> None:
    """Not from the intent: the platform may have needed all that time to carry it out."""
    events: list[Event] = [ASKED, create(10, key=None), given_up(40)]
    assert decide(events, 40, keyed=False) == Step(Action.WAIT, 41)
    events = [ASKED, create(10, key=None), given_up(40), create(50, key=None), given_up(60)]
    assert decide(events, 60, keyed=False) == Step(Action.WAIT, 61)


def test_late_look_up_shortens_no_later_one() -> None:
    """A delay before the first look-up, or a clock set forward, doesn't eat the schedule."""
    events: list[Event] = [ASKED, create(10, key=None), given_up(40), LookedUp(1000, None)]
    assert decide(events, 1000, keyed=False) == Step(Action.WAIT, 1003)
    events.append(LookedUp(1003, None))
    assert decide(events, 1003, keyed=False).action is Action.RESOLVE_DOUBT


def test_look_ups_before_a_later_create_count_no_more() -> None:
    events: list[Event] = [ASKED, create(10, key=None), given_up(11), LookedUp(12, None)]
    events += [LookedUp(15, None), create(16, key=None), given_up(20)]
    assert decide(events, 30, keyed=False).action is Action.LOOK_UP
    assert not fold(events).empty_lookups


# Where an order may be

CAFE, BAR = "cafe", "bar"


def sent_to(address: str, effect: Effect = Effect.CREATE, generation: int = 0) -> Intended:
    return Intended(1, effect, generation, "k", "body", address)


ELSEWHERE: list[tuple[str, list[Event], str]] = [
    ("never sent", [ASKED], ""),
    ("in doubt there", [ASKED, sent_to(CAFE), MAYBE], CAFE),
    ("not settled yet", [ASKED, sent_to(CAFE)], CAFE),
    ("in doubt here", [ASKED, sent_to(BAR), MAYBE], ""),
    ("refused there", [ASKED, sent_to(CAFE), NO], ""),
    ("created there", [ASKED, sent_to(CAFE), YES, pay()], CAFE),
    ("undone there", [ASKED, sent_to(CAFE), YES, sent_to(CAFE, Effect.UNDO), YES], ""),
    ("looked for to the end", [ASKED, sent_to(CAFE), MAYBE, DoubtResolved(9)], ""),
    ("a draft was found there", [ASKED, LookedUp(2, DRAFT, CAFE)], CAFE),
    ("nothing was found there", [ASKED, LookedUp(2, None, CAFE)], ""),
    (
        "a draft was found there before a failure",
        [ASKED, LookedUp(2, DRAFT, CAFE), failed("OutageError")],
        CAFE,
    ),
    (
        "a draft there was gone later",
        [ASKED, LookedUp(2, DRAFT, CAFE), LookedUp(3, None, CAFE)],
        "",
    ),
    (
        "a draft there couldn't be finished",
        [ASKED, LookedUp(2, DRAFT, CAFE), sent_to(CAFE, Effect.ADVANCE), NO, failed("TaxError")],
        CAFE,
    ),
    ("it arrived there", [ASKED, sent_to(CAFE), YES, Submitted(2, THERE, CAFE)], CAFE),
    ("only its arrival is kept", [ASKED, Submitted(2, THERE, CAFE)], CAFE),
    ("its platform reported it", [ASKED, sent_to(CAFE), MAYBE, Submitted(2, THERE)], CAFE),
]


@pytest.mark.parametrize(
    ("events", "address"), [e[1:] for e in ELSEWHERE], ids=[e[0] for e in ELSEWHERE]
)
def test_order_may_be_where_its_requests_went(events: list[Event], address: str) -> None:
    assert fold(events).elsewhere(BAR) == address
    assert fold(events).elsewhere(address or BAR) == ""


@pytest.mark.parametrize("keyed", [True, False])
def test_doubt_at_another_address_stops_the_submission(keyed: bool) -> None:
    events: list[Event] = [ASKED, sent_to(CAFE), MAYBE]
    assert decide(events, 2, keyed=keyed, address=BAR).action is Action.STOP
    assert decide(events, 5, keyed=keyed, address=CAFE).action is not Action.STOP


def test_first_look_up_at_another_address_counts_only_there() -> None:
    events: list[Event] = [ASKED, LookedUp(1, None, CAFE), sent_to(CAFE), NO]
    assert fold(events).outcome(keyed=False, address=CAFE) is Outcome.NOT_CREATED
    assert fold(events).outcome(keyed=False, address=BAR) is Outcome.UNKNOWN


def test_waits_double_to_the_longest_and_spread_by_order_id() -> None:
    policy = Policy(first_wait=1, longest_wait=6)
    for retry, longest in ((1, 1), (2, 2), (3, 4), (4, 6), (9, 6)):
        waits = {policy.wait_before(retry, f"ord_{n}") for n in range(50)}
        assert all(longest / 2 <= wait <= longest for wait in waits)
        assert len(waits) > 40
    assert policy.wait_before(1, "a") == policy.wait_before(1, "a")


def test_wait_before_the_10000th_retry_is_the_longest() -> None:
    """An outage of a day has more retries than a float can be doubled."""
    for first_wait in (0.0, 0.001, 86_400.0):
        policy = Policy(first_wait=first_wait, longest_wait=6)
        assert policy.wait_before(10_000, "a") <= 6
    assert policy.wait_before(10_000, "a") >= 3


def test_since_is_the_first_send() -> None:
    assert fold([ASKED]).since is None
    first = replace(create(5), ahead=0.0)
    assert fold([ASKED, first, NO, create(9, key="k2")]).since == 9 - UNKNOWN_LEAD
    later = replace(create(9), ahead=0.0)
    assert fold([ASKED, first, NO, later]).since == 5


@pytest.mark.parametrize(
    ("ahead", "since"),
    [(None, 100_000.0 - UNKNOWN_LEAD), (3600.0, 96_400.0), (-3600.0, 100_000.0)],
    ids=["the platform's time isn't known", "our clock is ahead", "our clock is behind"],
)
def test_since_is_in_time_of_the_platform(ahead: float | None, since: float) -> None:
    intent = replace(create(100_000), ahead=ahead)
    assert fold([ASKED, intent, MAYBE]).since == since


def test_notices_are_those_of_the_create_that_may_have_worked() -> None:
    cut = replace(create(1), notices=("The note was cut",))
    assert fold([ASKED, cut, MAYBE]).notices == ("The note was cut",)
    assert fold([ASKED, cut, NO]).notices == ()


# ---------------------------------------------------------------------- sightings


def step_after(*events: Event, now: float = 50) -> Action:
    step = next_step(
        fold(events), now, order_id="x", keyed=False, look_after=(1, 2), policy=Policy()
    )
    return step.action


IN_DOUBT: tuple[Event, ...] = (ASKED, create(key=None), MAYBE)
GIVEN_UP: tuple[Event, ...] = (*IN_DOUBT, failed("OrderError", outcome=Outcome.UNKNOWN))


def test_reported_order_is_looked_up_even_after_it_was_given_up() -> None:
    reported = Sighted(4, "o1")
    assert step_after(*GIVEN_UP) is Action.STOP
    assert step_after(*GIVEN_UP, reported) is Action.LOOK_UP
    assert step_after(*GIVEN_UP, reported, LookedUp(5, None)) is Action.STOP
    assert step_after(*GIVEN_UP, reported, failed("OrderError")) is Action.STOP
    assert step_after(*GIVEN_UP, reported, LookedUp(5, THERE)) is Action.DONE


@pytest.mark.parametrize("made", [False, True])
def test_order_that_the_platform_named_is_never_sent_again(made: bool) -> None:
    empty = (LookedUp(3, None), LookedUp(60, None))
    assert step_after(*IN_DOUBT, *empty, now=70) is Action.RESOLVE_DOUBT
    named = (*IN_DOUBT, Sighted(2, "o1", made))
    assert step_after(*named) is Action.LOOK_UP
    assert step_after(*named, *empty, now=70) is Action.STOP
    assert fold(named).outcome(keyed=False) is Outcome.UNKNOWN
    again = SubmissionRequested(80, "d")
    assert step_after(*named, *empty, again, now=90) is Action.LOOK_UP
    assert step_after(*named, *empty, again, LookedUp(91, None), now=99) is Action.STOP


def test_report_does_not_replace_what_our_own_create_named() -> None:
    history = fold([*IN_DOUBT, Sighted(2, "o1", made=True), Sighted(3, "o2")])
    assert (history.sighted, history.sighted_made) == ("o1", True)
    assert fold([*IN_DOUBT, Sighted(2, "o1"), Sighted(3, "o2")]).sighted == "o2"


def test_sighting_ends_with_its_generation() -> None:
    retired = fold([*IN_DOUBT, Sighted(2, "o1", made=True), KeyRetired(3)])
    assert (retired.sighted, retired.must_look, retired.is_reported) == ("", False, False)


def test_order_reported_at_another_address_is_not_sent_here() -> None:
    """Without the report's address, one empty look-up here allowed a create."""
    found_nothing = failed("OutageError")
    reported = (ASKED, found_nothing, Sighted(4, "o1", address=BAR), LookedUp(5, None, BAR))
    history = fold(reported)
    assert (history.elsewhere(CAFE), history.elsewhere(BAR)) == (BAR, "")
    again = fold([*reported, Sighted(6, "o2", address=CAFE)])
    assert (again.elsewhere(CAFE), again.elsewhere(BAR)) == (BAR, CAFE)
    assert fold([pruned(again, 9)]).elsewhere(CAFE) == BAR
    assert fold([*reported, KeyRetired(7)]).elsewhere(CAFE) == ""


JOURNALS: list[list[Event]] = [
    [],
    [ASKED, create(), YES, ARRIVED],
    [ASKED, create(), MAYBE, LookedUp(9, None), DoubtResolved(9), create(9, 1), YES, ARRIVED],
    [ASKED, create(), MAYBE],
    [ASKED, create(key=None), MAYBE, LookedUp(3, DRAFT)],
    [ASKED, create(), YES, ARRIVED, Cancelled(5, THERE)],
    [ASKED, OfTicket(create(key="t")), OfTicket(YES), OfTicket(Submitted(3, THERE))],
]


def without_texts(history: History) -> History:
    return history._replace(failure=None, imported=None, tries=0, healed=False)


@pytest.mark.parametrize("journal", JOURNALS, ids=lambda journal: str(len(journal)))
@pytest.mark.parametrize("more", [[], [ASKED], [failed("MenuError", 20)], [create(20, 9)]])
def test_pruned_journal_amounts_to_the_same(journal: list[Event], more: list[Event]) -> None:
    """Whatever happens after it was pruned."""
    whole = fold([*journal, *more])
    left = fold([pruned(fold(journal), 10), *more])
    assert without_texts(left) == without_texts(whole)


@pytest.mark.parametrize("journal", JOURNALS, ids=lambda journal: str(len(journal)))
@pytest.mark.parametrize("keyed", [True, False])
def test_erased_journal_leads_to_the_same_step(journal: list[Event], keyed: bool) -> None:
    def step(events: list[Event]) -> object:
        return next_step(
            fold(events), 50, order_id="x", keyed=keyed, look_after=(1, 2), policy=Policy()
        )

    assert step([event_without_texts(event) for event in journal]) == step(journal)


def test_pruned_journal_keeps_no_notices_and_no_failure() -> None:
    arrived = PosOrder(id="o1", notices=("Mia is allergic",))
    event = pruned(fold([ASKED, create(), NO, failed("MenuError"), Submitted(9, arrived)]), 10)
    assert "Mia" not in str(event)
    assert "MenuError" not in str(event)
    assert fold([event]).pos_order == THERE
