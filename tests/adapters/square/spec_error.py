"""The error of both checks of Square's requests and answers."""

from __future__ import annotations


class SpecError(AssertionError):
    """A request or an answer doesn't fit. The text names each misfit and where it is."""
