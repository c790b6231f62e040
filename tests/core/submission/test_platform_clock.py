"""Our clock beside the platform's, by the `Date` of its answers."""

from __future__ import annotations

import pytest

from tillpost.adapter.exchange import Fault, Response
from tillpost.errors import Applied
from tillpost.submission.platform_clock import PlatformClock

NOON = 1_795_608_000.0
"""Wed, 25 Nov 2026 12:00:00 GMT, in epoch seconds."""


def answer(date: str = "Wed, 25 Nov 2026 12:00:00 GMT") -> Response:
    return Response(200, {"date": date}, b"")


def test_difference_is_unknown_before_the_first_date() -> None:
    clock = PlatformClock()
    clock.observe(Fault(Applied.MAYBE, "no answer in time"), NOON, "cafe")
    clock.observe(answer("tomorrow"), NOON, "cafe")
    clock.observe(Response(200, {}, b""), NOON, "cafe")
    assert clock.skew is None
    assert clock.ahead(NOON) is None


@pytest.mark.parametrize("skew", [0.0, 7200.0, -7200.0])
def test_difference_is_how_far_our_clock_is_ahead(skew: float) -> None:
    clock = PlatformClock()
    clock.observe(answer(), NOON + skew, "cafe")
    assert clock.skew == skew
    assert clock.ahead(NOON + skew) == pytest.approx(skew, abs=5)


def test_leap_after_the_answer_shows_too() -> None:
    clock = PlatformClock()
    clock.observe(answer(), NOON, "cafe")
    assert clock.ahead(NOON + 86_400) == pytest.approx(86_400, abs=5)


def test_large_difference_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    clock = PlatformClock()
    clock.observe(answer(), NOON + 299, "cafe")
    assert not caplog.messages
    for _ in range(3):
        clock.observe(answer(), NOON - 7200, "cafe")
    assert caplog.messages == ["clock_skew connection=cafe seconds=-7200"]


def test_each_leap_of_the_difference_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    clock = PlatformClock()
    for skew in (7200, 7300, 10_800, 10_700, 20, 7200, -7200):
        clock.observe(answer(), NOON + skew, "cafe")
    logged = [message.rpartition("=")[2] for message in caplog.messages]
    assert logged == ["7200", "10800", "7200", "-7200"]


@pytest.mark.parametrize(
    "date", ["Thu, 01 Jan 1970 00:00:10 GMT", "Mon, 01 Jan 0100 00:00:10 GMT", "1 Jan 9999 00:00 Z"]
)
def test_absurd_date_is_reported_and_not_believed(
    caplog: pytest.LogCaptureFixture, date: str
) -> None:
    clock = PlatformClock()
    clock.observe(answer(date), NOON, "proxied")
    assert clock.ahead(NOON) is None
    assert caplog.messages[0].startswith("clock_skew connection=proxied")
    clock.observe(answer(), NOON + 60, "proxied")
    clock.observe(answer(date), NOON + 60, "proxied")
    assert clock.ahead(NOON + 60) == pytest.approx(60, abs=5)


@pytest.mark.parametrize("skew", [26 * 3600.0, -26 * 3600.0])
def test_difference_of_two_time_zones_is_believed(skew: float) -> None:
    clock = PlatformClock()
    clock.observe(answer(), NOON + skew, "cafe")
    assert clock.ahead(NOON + skew) == pytest.approx(skew, abs=5)
