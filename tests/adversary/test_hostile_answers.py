"""Whatever a server sends, each operation ends in a `PosError` soon, and sends nothing twice."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping

import pytest

from adversary.worlds import OPERATIONS, PLATFORMS, a_world, connected_to, secrets_of
from core.both import KINDS, Kind
from tillpost import Policy, PosError
from tillpost.adapter.readiness import Readiness
from tillpost.submission.menu_import import MenuImport
from tillpost.testing.adversary import BEHAVIOURS, POISONS, hostile_server, poisoned
from tillpost.testing.world import AnyWorld
from waiting import AGES

TELLING = ("reset", "drip_trailers", "endless_informational", "gzip_wide_list", "deep_json", "echo")
"""The behaviours that the quick suite tries; the slow one tries all."""

HARMLESS: Mapping[str, type[object]] = {
    "find": type(None),
    "check": Readiness,
    "import_menu": MenuImport,
}
"""What an operation may return instead: an order isn't there, a store isn't ready."""


def assert_ends_well(name: str, kind: Kind, world: AnyWorld, operation: str) -> None:
    """Run an operation against a behaviour."""
    with hostile_server(BEHAVIOURS[name]) as server, connected_to(kind, world, server.url) as till:
        began = time.monotonic()
        try:
            result = OPERATIONS[operation](till, world)
        except PosError as error:
            shown = f"{error!r} {error} {error.record().model_dump_json()} {error.remedy!r}"
            for secret in secrets_of(world):
                assert secret not in shown, f"{operation}: a secret is in the error"
        else:
            assert isinstance(result, HARMLESS.get(operation, ())), f"{operation}: {result!r}"
            if isinstance(result, Readiness):
                assert not result.ready
        took = time.monotonic() - began
        assert took < AGES, f"{operation} took {took:.1f} s"
        assert server.count("POST", world.create_path) <= 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("platform", PLATFORMS)
def test_each_operation_survives_the_telling_behaviours(platform: str, kind: Kind) -> None:
    with a_world(platform) as world:
        for name in TELLING:
            assert_ends_well(name, kind, world, "submit")


@pytest.mark.slow
@pytest.mark.parametrize("name", BEHAVIOURS)
@pytest.mark.parametrize("platform", PLATFORMS)
def test_each_operation_survives_each_behaviour(platform: str, name: str) -> None:
    with a_world(platform) as world:
        for operation in OPERATIONS:
            for kind in KINDS:
                assert_ends_well(name, kind, world, operation)


@pytest.mark.slow
@pytest.mark.parametrize("poison", POISONS)
@pytest.mark.parametrize("platform", PLATFORMS)
def test_each_poison_in_a_refusal_is_a_plain_error(platform: str, poison: str) -> None:
    with a_world(platform) as world, hostile_server(poisoned(poison)) as server:
        for kind in KINDS:
            with connected_to(kind, world, server.url) as till, pytest.raises(PosError) as caught:
                till.submit(world.order("hostile-1"))
            error = caught.value
            assert str(error).isprintable()
            assert len(repr(error)) < 5_000
            assert len(error.record().model_dump_json()) < 20_000


PATIENT = Policy(retries=3, retry_seconds=5, first_wait=0.01, longest_wait=0.05)


def assert_never_twice(platform: str, name: str, *, after: bool) -> None:
    """Spoil each answer to a create, and assert that the platform has one order at most."""
    with a_world(platform) as world, contextlib.ExitStack() as stack:
        server = stack.enter_context(
            hostile_server(
                BEHAVIOURS[name],
                upstream=world.running.url,
                only=f"^POST .*{world.create_path}",
                after=after,
            )
        )
        till = stack.enter_context(connected_to("sync", world, server.url, policy=PATIENT))
        with contextlib.suppress(PosError):
            till.submit(world.order("hostile-1"))
        entries = world.simulator.ledger().for_reference("hostile-1")
        assert len([entry for entry in entries if not entry.cancelled]) <= 1


@pytest.mark.parametrize("platform", PLATFORMS)
def test_spoilt_answer_after_the_effect_makes_no_second_order(platform: str) -> None:
    for name in ("reset", "redirect_without_host"):
        assert_never_twice(platform, name, after=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", BEHAVIOURS)
@pytest.mark.parametrize("platform", PLATFORMS)
def test_no_spoilt_answer_makes_a_second_order(platform: str, name: str) -> None:
    assert_never_twice(platform, name, after=True)
    assert_never_twice(platform, name, after=False)
