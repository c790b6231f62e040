"""A SQLite file that is deleted or replaced while it is open takes no order."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from core.outbox.corner_shop import lunch
from tillpost import Outbox
from tillpost.outbox import DatabaseError


def moved(file: Path) -> Path:
    return file.rename(file.with_suffix(".old"))


def replaced(file: Path) -> None:
    content = file.read_bytes()
    moved(file)
    file.write_bytes(content)


@pytest.mark.parametrize("change", [Path.unlink, moved, replaced])
def test_order_for_a_file_that_is_gone_is_refused(
    tmp_path: Path, change: Callable[[Path], object]
) -> None:
    file = tmp_path / "orders.db"
    with Outbox(f"sqlite:///{file}") as outbox:
        outbox.add(lunch("ord-1"), connection="cafe")
        change(file)
        with pytest.raises(DatabaseError, match="was deleted or replaced") as caught:
            outbox.add(lunch("ord-2"), connection="cafe")
        assert not caught.value.transient


def test_file_that_is_put_back_takes_orders_again(tmp_path: Path) -> None:
    file = tmp_path / "orders.db"
    with Outbox(f"sqlite:///{file}") as outbox:
        outbox.add(lunch("ord-1"), connection="cafe")
        moved(file).rename(file)
        outbox.add(lunch("ord-2"), connection="cafe")
        assert len(outbox.orders()) == 2


@pytest.mark.parametrize("url", ["sqlite:///orders.db", "sqlite:///file:orders.db?uri=true"])
def test_relative_path_is_found_after_a_change_of_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with Outbox(url) as outbox, outbox.database.reading():
        outbox.add(lunch("ord-1"), connection="cafe")
        with outbox.database.writing() as db:
            monkeypatch.chdir("/")
            db.exec_driver_sql("SELECT 1")
        outbox.add(lunch("ord-2"), connection="cafe")
