"""Two releases run side by side on one database: expand, replace the programs, contract.

The first release is this code with the first step alone. The second and third are the same code
with made-up steps: 0002 expands the tables, 0003 contracts them. The last test takes the real ones.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from core.outbox.corner_shop import QUICK, connected, lunch, work_off
from tillpost.outbox import DatabaseError, OrderState, Outbox
from tillpost.outbox.db import migrate as migrations
from tillpost.outbox.db.migrate import plan
from tillpost.simulator import Running
from tillpost_simulators.square import SquareSimulator

EXPAND = '''
"""Add a column and a table that nobody needs."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
oldest = "0001"

def upgrade() -> None:
    op.add_column("tillpost_orders", sa.Column("kitchen", sa.String(20)))
    op.add_column("tillpost_orders", sa.Column("course", sa.Integer, server_default="1"))
    op.create_table("tillpost_kitchens", sa.Column("name", sa.String(20), primary_key=True))
'''

CONTRACT = '''
"""Drop the column that version 0002 replaced."""

from alembic import op

revision = "0003"
down_revision = "0002"
oldest = "0002"

def upgrade() -> None:
    op.drop_column("tillpost_orders", "course")
'''

NEWEST = "this release"

Release = Callable[[str], AbstractContextManager[Outbox]]


@pytest.fixture
def url(new_url: str) -> str:
    """Return the address of a database without tables."""
    return new_url


@pytest.fixture
def release(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Release:
    """Run a block as the release whose newest version of the tables is named.

    It yields a new outbox of that release, as a program that was just started has one.
    `NEWEST` is this release, with its own steps.
    """
    first_steps = migrations.STEPS
    newest = migrations.VERSIONS
    steps = {"0002": EXPAND, "0003": CONTRACT}
    known = {"0001": ("0001",), "0002": ("0001", "0002"), "0003": ("0001", "0002", "0003")}

    @contextmanager
    def run(head: str) -> Generator[Outbox]:
        if head == NEWEST:
            with running_as(first_steps, newest) as outbox:
                yield outbox
            return
        own_steps = tmp_path / f"steps of {head}"
        if not own_steps.exists():
            shutil.copytree(first_steps, own_steps)
            for later in set((own_steps / "versions").glob("0*.py")) - {first_step(own_steps)}:
                later.unlink()
            for version in known[head][1:]:
                (own_steps / "versions" / f"{version}_made_up.py").write_text(steps[version])
        with running_as(own_steps, known[head]) as outbox:
            yield outbox

    @contextmanager
    def running_as(folder: Path, versions: Sequence[str]) -> Generator[Outbox]:
        with monkeypatch.context() as patch, Outbox(url, settings=QUICK) as outbox:
            patch.setattr(migrations, "STEPS", folder)
            patch.setattr(migrations, "VERSIONS", versions)
            patch.setattr(migrations, "HEAD", versions[-1])
            yield outbox

    return run


def first_step(steps: Path) -> Path:
    (step,) = (steps / "versions").glob("0001_*.py")
    return step


def columns(outbox: Outbox) -> set[str]:
    with outbox.database.reading() as db:
        return {column["name"] for column in sa.inspect(db).get_columns("tillpost_orders")}


def deliver(outbox: Outbox, shop: Running[SquareSimulator], order_id: str) -> None:
    """Add an order to an outbox, and submit it."""
    outbox.add(lunch(order_id), connection="cafe")
    work_off(outbox, {"cafe": connected(shop)})
    stored = outbox.get(order_id)
    assert stored is not None
    assert stored.state is OrderState.RECEIVED


def test_two_releases_deliver_side_by_side_after_an_expansion(
    release: Release, shop: Running[SquareSimulator]
) -> None:
    with ExitStack() as stack:
        with release("0001") as first:
            deliver(first, shop, "o-1")
        # A program of the first release that runs on meanwhile.
        running = stack.enter_context(release("0001"))
        deliver(running, shop, "o-2")

        with release("0002") as second:
            with pytest.raises(DatabaseError, match="older version"):
                second.orders()
            assert second.migrate()
            deliver(second, shop, "o-3")
            assert {"kitchen", "course"} <= columns(second)

        deliver(running, shop, "o-4")
    with release("0001") as restarted:
        deliver(restarted, shop, "o-5")
        assert not restarted.migrate(), "an older release leaves a newer database as it is"
        assert {"kitchen", "course"} <= columns(restarted)
    with release("0002") as second:
        deliver(second, shop, "o-6")
        assert {stored.id for stored in second.orders()} == {f"o-{n}" for n in range(1, 7)}
    assert len(shop.simulator.ledger().shown) == 6


def test_contraction_stops_the_first_release_and_not_the_second(
    release: Release, shop: Running[SquareSimulator]
) -> None:
    with release("0001") as first:
        deliver(first, shop, "o-1")
    with release("0002") as second:
        second.migrate()
    with release("0003") as third:
        third.migrate()
        assert "course" not in columns(third)
        deliver(third, shop, "o-2")
    with release("0001") as first:
        for use in (first.prepare, first.migrate):
            with pytest.raises(DatabaseError) as refused:
                use()
            assert str(refused.value) == (
                "the database has a newer version (0003) than this Tillpost supports (0001): "
                "update Tillpost"
            )
    with release("0002") as second:
        deliver(second, shop, "o-3")


def test_database_that_a_newer_release_created_serves_an_older_one(
    release: Release, shop: Running[SquareSimulator]
) -> None:
    with release("0002") as second:
        deliver(second, shop, "o-1")
    with release("0001") as first:
        deliver(first, shop, "o-2")


def test_order_may_be_added_by_an_older_release_in_a_transaction(release: Release) -> None:
    with release("0002") as second:
        second.prepare()
    with release("0001") as first, first.database.writing() as session:
        first.add(lunch("o-1"), connection="cafe", session=session)
    with release("0002") as second:
        assert [stored.id for stored in second.orders()] == ["o-1"]


def test_plan_says_what_each_step_does_and_whom_it_stops(release: Release) -> None:
    with release("0003") as third, third.database.reading() as db:
        planned = plan(db, third.engine)
        assert planned.version is None
        assert [step.version for step in planned.steps] == ["0001", "0002", "0003"]
        assert not any(step.stops_others for step in planned.steps)
    with release("0001") as first:
        first.prepare()
    with release("0003") as third, third.database.reading() as db:
        planned = plan(db, third.engine)
        assert planned.version == "0001"
        assert [(step.version, step.text, step.stops_others) for step in planned.steps] == [
            ("0002", "Add a column and a table that nobody needs.", False),
            ("0003", "Drop the column that version 0002 replaced.", True),
        ]
    with release("0002") as second:
        second.migrate()
    with release("0001") as first, first.database.reading() as db:
        assert plan(db, first.engine) == ("0002", (), False)


def test_step_that_says_nothing_of_older_programs_stops_them(
    release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    with release("0001") as first:
        first.prepare()
    with release("0002") as second:
        step = migrations.STEPS / "versions" / "0002_made_up.py"
        step.write_text(EXPAND.replace('oldest = "0001"', ""))
        second.migrate()
    with release("0001") as first, pytest.raises(DatabaseError, match="newer version"):
        first.orders()


def test_every_step_says_which_programs_go_on() -> None:
    for file in (migrations.STEPS / "versions").glob("*.py"):
        assert "\noldest = " in file.read_text(), file.name


def test_first_release_goes_on_beside_this_one(
    release: Release, shop: Running[SquareSimulator]
) -> None:
    with release("0001") as first:
        deliver(first, shop, "o-1")
        with release(NEWEST) as newest:
            assert newest.migrate()
            deliver(newest, shop, "o-2")
        deliver(first, shop, "o-3")
    with release("0001") as restarted:
        deliver(restarted, shop, "o-4")
    assert len(shop.simulator.ledger().shown) == 4
