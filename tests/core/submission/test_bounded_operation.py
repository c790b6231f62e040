"""An operation's answers are bounded as a whole, and a menu's requests are known as such."""

from __future__ import annotations

import pytest

from adversary.worlds import PLATFORMS, a_world, connected_to
from tillpost import Limits, OutageError
from tillpost.errors import ErrorRecord, Transcript
from tillpost.outbox.orders.models import EVENTS_WITH_TRANSCRIPTS, event_row
from tillpost.submission import operation
from tillpost.submission.journal import Failed


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize(
    ("limit", "most", "fault"),
    [("MOST_RECEIVED", 100, "are larger than"), ("MOST_OBJECTS", 1, "have more than 1 objects")],
)
def test_pages_without_end_are_an_outage(
    platform: str, limit: str, most: int, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operation, limit, most)
    with (
        a_world(platform) as world,
        connected_to("sync", world, world.running.url, limits=Limits()) as till,
        pytest.raises(OutageError, match=f"the answers of one import_menu {fault}"),
    ):
        till.import_menu()


def test_only_the_first_events_keep_their_transcripts() -> None:
    exchange = Transcript(method="POST", path="/orders", response_body="the answer")
    failed = Failed(1.0, ErrorRecord(kind="OutageError", detail="down", exchange=exchange))
    assert "the answer" in event_row(failed, EVENTS_WITH_TRANSCRIPTS - 1)[1]
    assert "the answer" not in event_row(failed, EVENTS_WITH_TRANSCRIPTS)[1]
