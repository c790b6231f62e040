"""How an outbox works: `OutboxSettings`.

They are made in code, or from the TOML file's `[outbox]` table:

[outbox]
db = "postgresql+psycopg://..."      # TILLPOST_DB and --db override it
concurrency = 8

[connections.cafe-42.outbox]         # what differs for one connection
concurrency = 2
sync_at = "10:30"
time_zone = "Australia/Sydney"
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from tillpost.config import config_path, load_table
from tillpost.errors import ConfigError
from tillpost.models.base import explain_settings
from tillpost.submission.policy import Policy

__all__ = ["ConnectionOptions", "OutboxSettings", "load_settings"]

WEEK = 7 * 86_400

MOST_DAYS = 36_500
"""The longest time for which data is kept, in days: 100 years."""

Seconds = Annotated[float, Field(gt=0, le=WEEK)]
BackOff = Annotated[float, Field(gt=0, le=900)]
LeadTime = Annotated[float, Field(ge=0, le=WEEK)]
Days = Annotated[float, Field(ge=0, le=MOST_DAYS)]
Count = Annotated[int, Field(ge=1, le=1000)]
Rate = Annotated[float, Field(ge=0.1, le=10_000)]
TimeOfDay = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]

UNLIMITED_RETRIES = 1_000_000
"""Retries in an outbox are bounded by time, not by their number."""

LONGEST_RETRY_AFTER = 900.0
"""The longest wait, in seconds, that a platform may ask for.

One that asks to wait longer isn't waited for: a person should know.
"""


class ConnectionOptions(BaseModel):
    """How an outbox treats the orders of one connection.

    That is its table `[connections.NAME.outbox]`.

    Attributes:
        concurrency: How many of its orders are in flight at once, over all workers.
        lead: How long before it is due a scheduled order is sent, in seconds.
        sync_at: The time of day at which the menu is imported, such as "10:30".
        time_zone: The store's time zone, such as "Australia/Sydney"; `sync_at` needs it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    concurrency: Count = 4
    lead: LeadTime = 1800.0
    sync_at: TimeOfDay | None = None
    time_zone: str = ""

    @field_validator("time_zone")
    @classmethod
    def _is_known_zone(cls, name: str) -> str:
        if not name:
            return name
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("must be a time zone's name, such as Australia/Sydney") from None
        return name

    @model_validator(mode="after")
    def _has_zone_for_sync(self) -> ConnectionOptions:
        if self.sync_at and not self.time_zone:
            raise ValueError("sync_at needs the store's time_zone")
        return self


class OutboxSettings(BaseModel):
    """How an outbox and its workers work.

    Times are in seconds, unless they say otherwise.

    Attributes:
        db: The database's URL.
        engine: What wakes the workers: `embedded`, or a plugin's engine.
        threads: How many orders one worker processes at once.
        lease: A worker without a heartbeat for this long counts as dead, and its orders are
            released.
        first_wait: The wait before the first retry. It doubles with each retry, with jitter.
        longest_wait: The longest wait before a retry.
        give_up_after: An order that an outage delays for this long, and beyond its due time, is
            left to a person.
        escalate_after: A problem that nobody acts on is escalated after this long, and again after
            as long.
        unseen_after: An order that the register hasn't confirmed for this long is reported.
        check_every: How often each store is asked whether it can take orders; less often if there
            are so many stores that `background_rate` doesn't allow it.
        background_rate: How many requests a second the store checks, polls and menu imports of all
            workers may send to one host. Orders aren't counted.
        outage_after: After this many failed orders in a row the connection's circuit opens: an
            outage has begun.
        erase_after_days: Customers' data is erased from finished orders this many days after they
            were added.
        prune_after_days: The journals of such orders are pruned after this many days.
        concurrency: As in `ConnectionOptions`, for every connection that doesn't set it.
        lead: As in `ConnectionOptions`, for every connection that doesn't set it.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        defer_build=True,
        hide_input_in_errors=True,
    )

    # Not in the repr, because it may hold a password.
    db: Annotated[str, Field(repr=False)] = "sqlite:///tillpost.db"
    engine: str = "embedded"
    threads: Count = 16
    lease: Seconds = 10.0
    first_wait: Seconds = 1.0
    longest_wait: BackOff = 60.0
    give_up_after: Seconds = 7200.0
    escalate_after: Seconds = 300.0
    unseen_after: Seconds = 300.0
    check_every: Seconds = 60.0
    # unconfirmed: how many requests a second a platform takes from one address over all stores'
    # tokens. What platforms publish counts for each store or token. A 429 while no store alone is
    # busy would show it.
    background_rate: Rate = 40.0
    outage_after: Count = 5
    erase_after_days: Days | None = None
    prune_after_days: Days | None = None
    concurrency: Count = 4
    lead: LeadTime = 1800.0

    def options_of(self, own: ConnectionOptions | None) -> ConnectionOptions:
        """Return a connection's options, with this outbox's where it doesn't set its own."""
        own = own or ConnectionOptions()
        inherited = {"concurrency": self.concurrency, "lead": self.lead}
        for name in own.model_fields_set:
            inherited.pop(name, None)
        return own.model_copy(update=inherited)

    def policy_of(self, policy: Policy) -> Policy:
        """Return a connection's policy in an outbox, which can wait for hours."""
        return policy.model_copy(
            update={
                "retries": UNLIMITED_RETRIES,
                "retry_seconds": self.give_up_after,
                "first_wait": self.first_wait,
                "longest_wait": self.longest_wait,
                "longest_retry_after": LONGEST_RETRY_AFTER,
            }
        )


def load_settings(path: str | Path | None = None) -> OutboxSettings:
    """Return the file's `[outbox]` table; the defaults without one.

    Raises `ConfigError`.
    """
    try:
        return OutboxSettings.model_validate(load_table("outbox", path))
    except ValidationError as error:
        fault = explain_settings(error, OutboxSettings.model_fields)
    # Raised out here, because the ValidationError holds the values, such as a database's password.
    raise ConfigError(f"{config_path(path)}: [outbox] {fault}")
