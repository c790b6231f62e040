"""Which cassette a test plays from: the parameter of the fixture `store`.

    @plays("fetch", ORIGIN)
    def test_an_order_is_fetched(store: Store) -> None: ...

A test of many cases lists them itself: each `Case` is a parameter of `store`, given indirectly.
"""

from __future__ import annotations

from typing import NamedTuple

import pytest

from tillpost.submission.policy import Policy
from tillpost.testing.origins import Origin
from tillpost.testing.store import KINDS, Kind

__all__ = ["Case", "cases", "plays"]

QUIET = Policy(retries=0)
"""What a case runs under unless it says otherwise: each request is sent once."""


class Case(NamedTuple):
    """A cassette's name, what it is recorded from, whether a Till ("sync") or an AsyncTill plays it, and its policy."""

    name: str
    origin: Origin
    kind: Kind
    policy: Policy = QUIET

    def __repr__(self) -> str:
        """The name and the kind, for a test's own name."""
        return f"{self.name}-{self.kind}"


def cases(name: str, origin: Origin, policy: Policy = QUIET) -> tuple[Case, ...]:
    """Return the cassette as played by a Till, which records it too, and by an AsyncTill."""
    return tuple(Case(name, origin, kind, policy) for kind in KINDS)


def plays(name: str, origin: Origin, policy: Policy = QUIET) -> pytest.MarkDecorator:
    """Let a test run twice with a `store` that plays from the cassette: with a Till and with an AsyncTill."""
    both = [pytest.param(case, id=case.kind) for case in cases(name, origin, policy)]
    return pytest.mark.parametrize("store", both, indirect=True)
