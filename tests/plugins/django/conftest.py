"""A Django project on each database, whose programs and commands run in processes of their own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path
from textwrap import dedent

import pytest
import sqlalchemy as sa

from adapters.square.shop_orders import TOASTIE, paid
from core.outbox.stores import DATABASES
from databases import PostgresServer, database_on
from tillpost.outbox import Outbox
from tillpost.simulator import Running, serve_in_thread
from tillpost_simulators.square import SquareSimulator

SETTINGS = """
SECRET_KEY = "of a test"
ALLOWED_HOSTS = ["*"]
DATABASES = {databases}
TILLPOST = {tillpost}
ROOT_URLCONF = "urls"
USE_TZ = True
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "tillpost_django",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {{
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {{
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        }},
    }}
]
"""

URLS = """
from django.contrib import admin
from django.urls import path

urlpatterns = [path("admin/", admin.site.urls)]
"""

START = """
import json
from pathlib import Path

import django

django.setup()

import tillpost_django
from django.contrib.auth.models import Group
from django.db import connection, transaction
from tillpost import Order

ORDER = json.loads(Path("order.json").read_text())

def order(order_id):
    return Order.model_validate({**ORDER, "id": order_id})

def add(order_id):
    return tillpost_django.add(order(order_id), connection="cafe")

def ids():
    return sorted(stored.id for stored in tillpost_django.outbox().orders())
"""


class Project:
    """A Django project in a folder."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url
        self.databases: dict[str, object] = {"default": database(url)}
        self.tillpost: dict[str, object] = {"CONFIG": str(folder / "tillpost.toml")}
        (folder / "urls.py").write_text(URLS)
        (folder / "order.json").write_text(paid("order", [TOASTIE]).canonical_json())
        (folder / "tillpost.toml").touch()
        self.configure()

    def configure(self) -> None:
        """Write the settings."""
        text = SETTINGS.format(databases=self.databases, tillpost=self.tillpost)
        (self.folder / "settings.py").write_text(text)

    def run(self, program: str) -> str:
        """Run Python with Django set up; return what it prints."""
        return self.output([sys.executable, "-W", "error", "-c", START + dedent(program)])

    def manage(self, *arguments: str) -> str:
        """Run a command of `manage.py`; return what it prints."""
        return self.output([sys.executable, "-m", "django", *arguments])

    def fail(self, *arguments: str) -> str:
        """Run a command of `manage.py` that fails; return its errors."""
        done = self._run([sys.executable, "-m", "django", *arguments])
        assert done.returncode != 0, done.stdout
        return done.stderr

    def output(self, command: Sequence[str]) -> str:
        done = self._run(command)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def _run(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join([str(self.folder), *sys.path])
        environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "settings", "PYTHONPATH": path}
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            cwd=self.folder,
            env=environment,
            timeout=120,
            check=False,
        )


def database(url: str) -> Mapping[str, object]:
    """Return an entry of `DATABASES`."""
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": parsed.database}
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parsed.database,
        "USER": parsed.username,
        "HOST": parsed.host,
        "PORT": parsed.port,
        "OPTIONS": {"application_name": "shop"},
    }


def new_project(folder: Path, url: str) -> Project:
    folder.mkdir()
    return Project(folder, url)


def migrated(folder: Path, url: str) -> str:
    """Make Django's tables and the outbox's; return the database's URL."""
    program = """
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        call_command("tillpost_migrate")
        """
    new_project(folder, url).run(program)
    return url


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with all tables, to copy."""
    folder = tmp_path_factory.mktemp("migrated")
    migrated(folder / "project", f"sqlite:///{folder / 'shop.db'}")
    return folder / "shop.db"


@pytest.fixture(scope="session")
def migrated_template(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of a PostgreSQL database with all tables, to copy."""
    name = postgres.create_database()
    migrated(tmp_path_factory.mktemp("migrated") / "project", postgres.url(name))
    return name


@pytest.fixture
def bare_project(tmp_path: Path, new_url: str) -> Project:
    """A project whose database has no tables."""
    return new_project(tmp_path / "project", new_url)


@pytest.fixture
def sqlite_project(tmp_path: Path, migrated_file: Path) -> Project:
    """A project on a SQLite file with all tables."""
    shutil.copyfile(migrated_file, tmp_path / "shop.db")
    return new_project(tmp_path / "project", f"sqlite:///{tmp_path / 'shop.db'}")


@pytest.fixture
def postgresql_project(
    tmp_path: Path, postgres: PostgresServer, migrated_template: str
) -> Iterator[Project]:
    """A project on a PostgreSQL database with all tables."""
    with database_on(postgres, migrated_template) as url:
        yield new_project(tmp_path / "project", url)


@pytest.fixture(
    params=[
        pytest.param(kind, marks=[pytest.mark.slow] if kind == "postgresql" else [])
        for kind in DATABASES
    ]
)
def project(request: pytest.FixtureRequest) -> Project:
    """A project on each database."""
    made: Project = request.getfixturevalue(f"{request.param}_project")
    return made


@pytest.fixture
def outbox(project: Project) -> Generator[Outbox]:
    """The outbox, as another program sees it."""
    with Outbox(project.url) as opened:
        yield opened


@pytest.fixture
def shop(project: Project) -> Generator[Running[SquareSimulator]]:
    """The store's platform, which the connection `cafe` names."""
    with serve_in_thread(SquareSimulator()) as running:
        settings = {**running.settings, "base_url": running.url}
        lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
        table = ["[connections.cafe]", 'platform = "square"', *lines]
        (project.folder / "tillpost.toml").write_text("\n".join(table) + "\n")
        yield running
