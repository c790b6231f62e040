"""The cassette that a test plays: the parameter of the fixture `store`.

    @plays("fetch", ORIGIN)
    def test_an_order_is_fetched(store: Store) -> None: ...

A test of several cassettes parametrises `store` with their `Case`s itself, indirectly.
"""

from __future__ import annotations

from typing import NamedTuple

import pytest

from tillpost.submission.policy import Policy
from tillpost.testing.origins import Origin
from tillpost.testing.store import KINDS, Kind

__all__ = ["Case", "cases", "plays"]

QUIET = Policy(retries=0)
"""The default policy of a case: each request is sent once."""


class Case(NamedTuple):
    """A cassette, and how it is played.

    Attributes:
        name: The file's name, without its extension.
        origin: What it is recorded from.
        kind: "sync" for a Till, "async" for an AsyncTill.
        policy: The Till's policy.
    """

    name: str
    origin: Origin
    kind: Kind
    policy: Policy = QUIET

    def __repr__(self) -> str:
        """Return the name and the kind, for the test's id."""
        return f"{self.name}-{self.kind}"


def cases(name: str, origin: Origin, policy: Policy = QUIET) -> tuple[Case, ...]:
    """Return a cassette's cases: for a Till, which records it, and an AsyncTill."""
    return tuple(Case(name, origin, kind, policy) for kind in KINDS)


def plays(name: str, origin: Origin, policy: Policy = QUIET) -> pytest.MarkDecorator:
    """Run a test twice with a `store` that plays the cassette.

    One is a Till, the other an AsyncTill.
    """
    both = [pytest.param(case, id=case.kind) for case in cases(name, origin, policy)]
    return pytest.mark.parametrize("store", both, indirect=True)
