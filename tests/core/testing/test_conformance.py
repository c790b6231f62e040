"""The conformance suite runs what applies to an adapter, and nothing that doesn't passes."""

from __future__ import annotations

import pytest

from conformance.generic_world import GenericWorld
from conformance.kounta_world import KountaWorld
from conformance.square_world import SquareWorld
from tillpost.testing.conformance import Conformance
from tillpost.testing.world import AnyWorld

CANCELLED = "test_cancelled_order_is_not_submitted_again"
REFRESH = "test_expired_token_is_refreshed_once_and_saved"
DRAFT = "test_half_done_order_is_found_as_a_draft_and_finished"
STALE = "test_webhook_signed_at_another_time_is_stale"
UNCONFIGURED = "test_webhook_without_a_configured_secret_is_refused"


def left_out(world: type[AnyWorld]) -> set[str]:
    """Return the tests that aren't collected for a class of worlds."""
    suite = type("OfOneWorld", (Conformance,), {"world_class": world})
    names = {name for name in dir(Conformance) if name.startswith("test_")}
    return {name for name in names if getattr(suite, name) is None}


@pytest.mark.parametrize(
    ("world", "missing"),
    [
        (SquareWorld, set[str]()),
        (KountaWorld, {DRAFT, STALE, CANCELLED}),
    ],
)
def test_tests_of_what_an_adapter_lacks_are_not_collected(
    world: type[AnyWorld], missing: set[str]
) -> None:
    assert left_out(world) == missing


def test_adapter_without_tokens_leaves_out_the_tests_of_them() -> None:
    assert {REFRESH, DRAFT, UNCONFIGURED} <= left_out(GenericWorld)
    assert STALE not in left_out(GenericWorld)


def test_suite_without_a_world_class_leaves_nothing_out() -> None:
    suite = type("OfAnyWorld", (Conformance,), {})
    assert all(getattr(suite, name) for name in dir(Conformance) if name.startswith("test_"))


AUTHORS = """
import pytest
from conformance.generic_world import GenericWorld
from tillpost import TaxError
from tillpost.simulator import serve_in_thread
from tillpost.testing.conformance import Conformance
from tillpost_simulators.generic import GenericSimulator

class UntaxedWorld(GenericWorld):
    impossible = {TaxError: "the platform has no taxes"}

class TestUntaxed(Conformance):
    WORLD_CLASS

    @pytest.fixture
    def world(self):
        with serve_in_thread(GenericSimulator()) as running:
            yield UntaxedWorld(running)
"""


@pytest.mark.parametrize(
    ("world_class", "expected"),
    [
        ("world_class = UntaxedWorld", {"passed": 1, "skipped": 0}),
        ("pass", {"passed": 1, "skipped": 2}),
    ],
    ids=["with world_class", "without"],
)
def test_what_does_not_apply_never_passes(
    pytester: pytest.Pytester, world_class: str, expected: dict[str, int]
) -> None:
    pytester.makepyfile(AUTHORS.replace("WORLD_CLASS", world_class))
    chosen = f"{REFRESH} or TaxError or MenuError"
    ran = pytester.runpytest_inprocess("-k", chosen, "-p", "no:cacheprovider", "-rs")
    ran.assert_outcomes(**expected)
    if expected["skipped"]:
        ran.stdout.fnmatch_lines(["*the adapter has no operation 'refresh'*"])
        ran.stdout.fnmatch_lines(["*the platform has no taxes*"])
