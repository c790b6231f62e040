"""How an outbox works: `OutboxSettings`, from the `[outbox]` table of the TOML file, or made in code. Times in seconds.

[outbox]
db = "postgresql+psycopg://..."      # TILLPOST_DB and --db come before it
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
from tillpost.models.base import explain
from tillpost.submission.policy import Policy

__all__ = ["ConnectionOptions", "OutboxSettings", "load_settings"]

Seconds = Annotated[float, Field(gt=0, le=7 * 86_400)]


class ConnectionOptions(BaseModel):
    """Settings of the outbox for the orders of one connection.

    Attributes:
        concurrency: Most orders of this connection that are processed at once, over all workers.
        lead: Seconds before its due time at which a scheduled order is sent.
        sync_at: Time of day of the daily menu import, as `HH:MM`, in `time_zone`.
        time_zone: The store's IANA time zone, such as `Australia/Sydney`. Required by `sync_at`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    concurrency: Annotated[int, Field(ge=1, le=1000)] = 4
    lead: Annotated[float, Field(ge=0, le=7 * 86_400)] = 1800.0
    sync_at: Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")] | None = None
    time_zone: str = ""

    @field_validator("time_zone")
    @classmethod
    def _known(cls, name: str) -> str:
        try:
            if name:
                ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("must be a time zone's name, such as Australia/Sydney") from None
        return name

    @model_validator(mode="after")
    def _somewhere(self) -> ConnectionOptions:
        if self.sync_at and not self.time_zone:
            raise ValueError("sync_at needs the store's time_zone")
        return self


class OutboxSettings(BaseModel):
    """Settings of an outbox and its workers. Times are in seconds unless the name says otherwise.

    Attributes:
        db: URL of the database. `TILLPOST_DB` and `--db` override it.
        engine: What wakes the workers: `embedded`, or an engine that a plugin provides.
        threads: Most orders that one worker processes at once.
        lease: A worker without a heartbeat for this long is taken for dead. Others then claim its
            orders.
        first_wait: Wait before the first retry. It doubles with each retry and is jittered.
        longest_wait: Longest wait between two retries.
        give_up_after: An order that an outage has held up for this long, and that is past its due
            time, stops and waits for a person.
        escalate_after: `order_escalated` is called when nobody has acted on a problem for this
            long, and once more after twice as long.
        unseen_after: `order_unseen` is called when the register has shown no sign of an order for
            this long.
        check_every: Interval between two availability checks of each store.
        outage_after: Failures in a row that open the connection's circuit breaker.
        erase_after_days: Age in days at which customers' data is erased from finished orders. Never
            by default.
        prune_after_days: Age in days at which the journals of finished orders are deleted. Never by
            default.
        concurrency: Default of the connections' `concurrency`.
        lead: Default of the connections' `lead`.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", defer_build=True, hide_input_in_errors=True
    )

    db: Annotated[str, Field(repr=False)] = "sqlite:///tillpost.db"  # it may hold a password
    engine: str = "embedded"
    threads: Annotated[int, Field(ge=1, le=1000)] = 16
    lease: Seconds = 10.0
    first_wait: Seconds = 1.0
    longest_wait: Annotated[float, Field(gt=0, le=900)] = 60.0
    give_up_after: Seconds = 7200.0
    escalate_after: Seconds = 300.0
    unseen_after: Seconds = 300.0
    check_every: Seconds = 60.0
    outage_after: Annotated[int, Field(ge=1, le=1000)] = 5
    erase_after_days: Annotated[float, Field(ge=0)] | None = None
    prune_after_days: Annotated[float, Field(ge=0)] | None = None
    concurrency: Annotated[int, Field(ge=1, le=1000)] = 4
    lead: Annotated[float, Field(ge=0, le=7 * 86_400)] = 1800.0

    def of(self, own: ConnectionOptions | None) -> ConnectionOptions:
        """Return how a connection's orders go: what it says itself, and what is said here for all that say nothing."""
        said = {"concurrency": self.concurrency, "lead": self.lead}
        if own is not None:
            said = {name: value for name, value in said.items() if name not in own.model_fields_set}
        return (own or ConnectionOptions()).model_copy(update=said)

    def policy(self, policy: Policy) -> Policy:
        """Return a connection's policy as an outbox keeps it: it can wait for hours, since it doesn't sleep."""
        return policy.model_copy(
            update={
                "retries": MANY,
                "retry_seconds": self.give_up_after,
                "first_wait": self.first_wait,
                "longest_wait": self.longest_wait,
                "longest_retry_after": LONGEST_RETRY_AFTER,
            }
        )


MANY = 1_000_000
"""Retries are bounded by time."""

LONGEST_RETRY_AFTER = 900.0
"""A platform that asks to wait longer isn't waited for: a person should know."""


def load_settings(path: str | Path | None = None) -> OutboxSettings:
    """Return what the file's `[outbox]` table says; the defaults when it says nothing. Raises `ConfigError`."""
    table = load_table("outbox", path)
    try:
        return OutboxSettings.model_validate(table)
    except ValidationError as error:
        raise ConfigError(f"{config_path(path)}: [outbox] {explain(error)}") from None
