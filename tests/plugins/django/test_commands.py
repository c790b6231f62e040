"""The commands of `manage.py`, and the check of the settings."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from plugins.django.conftest import Project
from tillpost.outbox import Outbox
from tillpost.simulator import Running
from tillpost_simulators.square import SquareSimulator

pytestmark = pytest.mark.slow  # each starts Django several times


def test_migrate_creates_the_tables_once(bare_project: Project) -> None:
    assert "are at this version now" in bare_project.manage("tillpost_migrate")
    assert "were at this version already" in bare_project.manage("tillpost_migrate")


def test_worker_delivers_to_the_register(
    project: Project, shop: Running[SquareSimulator], outbox: Outbox
) -> None:
    project.run("with transaction.atomic(): add('A-1')")
    printed = project.manage("tillpost_worker", "--until-idle")
    assert "Orders that arrived: 1." in printed
    stored = outbox.get("A-1")
    assert stored
    assert stored.pos_order
    assert len(shop.simulator.ledger().shown) == 1


@pytest.mark.usefixtures("shop")
def test_other_commands_use_the_same_database(project: Project) -> None:
    project.run("add('A-1')")
    assert "A-1" in project.manage("tillpost", "orders", "list", "--json")


def test_django_makes_no_migrations_of_the_tables(project: Project) -> None:
    printed = project.manage("makemigrations", "--check", "--dry-run")
    assert "No changes detected" in printed


@pytest.mark.parametrize(
    ("setting", "value", "text"),
    [
        ("DATABASE", "default", "TILLPOST has no key 'DATABASE'; it has: USING, CONFIG"),
        ("USING", "other", "TILLPOST['USING']: DATABASES has no 'other'"),
        ("USING", "memory", "is in memory, where Tillpost's workers can't find it"),
    ],
)
def test_wrong_setting_is_one_line(
    sqlite_project: Project, setting: str, value: str, text: str
) -> None:
    memory = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
    sqlite_project.databases["memory"] = memory
    sqlite_project.tillpost[setting] = value
    sqlite_project.configure()
    worker = sqlite_project.fail("tillpost_worker")
    assert worker.startswith("tillpost_worker: ")
    assert text in worker
    assert text in sqlite_project.fail("check")


MANAGE = """
import sys
from django.core.management import execute_from_command_line

execute_from_command_line(sys.argv)
"""


def test_help_names_a_command_that_exists(sqlite_project: Project) -> None:
    script = sqlite_project.folder / "manage.py"
    script.write_text(MANAGE)
    shown = sqlite_project.output([sys.executable, str(script), "tillpost_worker", "--help"])
    assert "Usage: manage.py tillpost worker" in shown


def test_import_without_django_says_what_is_missing() -> None:
    program = "import sys; sys.modules['django'] = None; import tillpost_django"
    path = os.pathsep.join(sys.path)
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
        check=False,
    )
    last = done.stderr.strip().splitlines()[-1]
    assert last.endswith("tillpost_django needs Django 5: pip install 'tillpost[django]'")
