"""Can this store take an order now, and if not, whose move is it? What an adapter's `check` answers."""

from __future__ import annotations

from tillpost.errors import PosError
from tillpost.remedies import Actor
from tillpost.words import Word

__all__ = ["Finding", "Readiness"]


class Finding(Word):
    """One thing that was looked at. `actor` is who has to move when it isn't `ok`."""

    what: str
    ok: bool
    text: str
    actor: Actor | None = None

    @classmethod
    def of(cls, what: str, ok: bool, text: str, actor: Actor) -> Finding:
        """Return the finding, with the actor when it isn't `ok`."""
        return cls(what=what, ok=ok, text=text, actor=None if ok else actor)

    @classmethod
    def unseen(cls, what: str, error: PosError) -> Finding:
        """Return the finding that something can't be looked at, in the error's own words."""
        return cls(what=what, ok=False, text=error.detail or type(error).__name__, actor=error.remedy.actor)


class Readiness(Word):
    """All that was looked at, in the order in which it should be mended."""

    findings: tuple[Finding, ...]

    @property
    def ready(self) -> bool:
        """Whether an order can be taken now."""
        return all(finding.ok for finding in self.findings)
