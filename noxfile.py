"""The steps of `.ci/run`, in sessions: `nox -s types`, or `nox` for the fast ones.

A test checks that both run the same commands. A session installs what it needs into an environment
of its own, which is used again the next time.
"""

from __future__ import annotations

import os
from pathlib import Path

import nox

nox.needs_version = ">=2024.10.9"
nox.options.default_venv_backend = "venv"
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["tests-3.11", "lint", "types", "imports", "reference"]

PYTHONS = ["3.11", "3.12", "3.13"]
OLDEST = PYTHONS[0]

EXAMPLE = "docs/examples/corner"
MAPPINGS = "docs/examples/mappings"
QUEUES = "docs/examples/queues"
SHOWN_PYTHON = "docs/_build/python"

MIGRATIONS = "core/tillpost/outbox/db/migrations"
"""Doctests leave them out: they need a database."""

DJANGO_APP = "plugins/tillpost_django"
"""Doctests leave it out: it needs a project's settings."""

COVERED_BY = ("adapter", "client", "errors", "submission", "transport")
"""The tests that reach every branch of the files that keep the promises (`pyproject.toml`)."""

DOCUMENTS = os.environ.get("TILLPOST_VENDOR_DOCUMENTS", "../shared/reference")
"""A folder with the vendors' own documents, which aren't in this repository."""


def install(session: nox.Session) -> None:
    """Install Tillpost with everything that its development needs."""
    session.install("--upgrade", "pip>=25.1")  # the first that knows dependency groups
    session.install("-e", ".", "--group", "dev")


def build_site(session: nox.Session) -> None:
    """Build the site into `docs/_build/html`."""
    options = ("-q", "-W", "--keep-going", "-b", "html")
    session.run("sphinx-build", *options, "docs", "docs/_build/html")


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the tests, but for the slow ones. Arguments after `--` go to pytest."""
    install(session)
    session.run("pytest", *session.posargs)


@nox.session(python=PYTHONS)
def slow(session: nox.Session) -> None:
    """Run the tests that kill processes, run storms, fuzz, or wait for real time."""
    install(session)
    session.run("pytest", "-m", "slow", *session.posargs)


@nox.session(python=OLDEST)
def simulation(session: nox.Session) -> None:
    """Run 2,000 simulated scenarios. Arguments after `--` replace `--scenarios 2000`."""
    install(session)
    session.chdir("tests")
    session.run("python", "-m", "simulation", *(session.posargs or ("--scenarios", "2000")))


@nox.session(python=OLDEST)
def coverage(session: nox.Session) -> None:
    """Require every branch of the files that keep the promises, by the tests of their packages."""
    install(session)
    packages = [f"tests/core/{name}" for name in COVERED_BY]
    session.run("pytest", "-q", *packages, "--cov", *session.posargs)


@nox.session(python=OLDEST)
def vendors(session: nox.Session) -> None:
    """Check the adapters and the simulators by the vendors' own documents, where there are any."""
    if not Path(DOCUMENTS).is_dir():
        session.skip(f"{DOCUMENTS} doesn't exist: set TILLPOST_VENDOR_DOCUMENTS to the folder")
    install(session)
    checked = ("tests/adapters/kounta", "tests/adapters/square", "tests/plugins/simulators")
    known = {"TILLPOST_VENDOR_DOCUMENTS": str(Path(DOCUMENTS).resolve())}
    session.run("pytest", "-m", "vendor_document or not slow", *checked, env=known)


@nox.session(python=OLDEST)
def doctests(session: nox.Session) -> None:
    """Run the examples in docstrings."""
    install(session)
    command = ("pytest", "-q", "--doctest-modules", "-p", "no:cacheprovider")
    ignored = (f"--ignore={MIGRATIONS}", f"--ignore={DJANGO_APP}")
    session.run(*command, *ignored, "core", "adapters", "plugins")


@nox.session(python=OLDEST)
def lint(session: nox.Session) -> None:
    """Run the linter, the formatter's check and the spelling check."""
    install(session)
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("codespell")


@nox.session(python=OLDEST)
def security(session: nox.Session) -> None:
    """Run bandit over the code, and pip-audit over what is installed."""
    install(session)
    session.run("bandit", "-q", "-c", "pyproject.toml", "-r", "core", "adapters", "plugins")
    session.run("python", ".ci/audit.py")


@nox.session(python=OLDEST)
def types(session: nox.Session) -> None:
    """Run both type checkers, over the code and over what the docs hold."""
    install(session)
    extensions = sorted(str(file) for file in Path("docs/_ext").glob("*.py"))
    programs = ("docs/conf.py", "docs/render.py", "docs/pictures.py")
    paths = {"MYPYPATH": f"{EXAMPLE}:{MAPPINGS}:{QUEUES}:docs/_ext"}
    scripts = [*Path(MAPPINGS).glob("*.py"), *Path(QUEUES).glob("*.py")]
    examples = [f"{EXAMPLE}/tillpost_corner", *sorted(map(str, scripts))]
    session.run("mypy")
    session.run("mypy", *programs, *extensions, *examples, env=paths)
    # Pyright finds the packages in the environment that it is told, not in `.venv`.
    interpreter = ("--pythonpath", f"{session.virtualenv.bin}/python")
    session.run("pyright", *interpreter)
    session.run("pyright", *interpreter, *programs, "docs/_ext", "docs/examples")


@nox.session(python=OLDEST)
def imports(session: nox.Session) -> None:
    """Hold the floors: imports point down, and there is no circle."""
    install(session)
    session.run("lint-imports")


@nox.session(python=OLDEST)
def snippets(session: nox.Session) -> None:
    """Lint and type-check the Python that the docs show."""
    install(session)
    session.run("python", "tests/docs/pages.py", SHOWN_PYTHON)
    programs, blocks = f"{SHOWN_PYTHON}/programs", f"{SHOWN_PYTHON}/blocks"
    # A page imports where it needs something, not at its top.
    sources = f'src = ["core", "adapters", "plugins", "{EXAMPLE}", "{MAPPINGS}"]'
    options = ("--no-respect-gitignore", "--extend-ignore", "E402", "--config", sources)
    session.run("ruff", "check", *options, programs)
    session.run("ruff", "format", "--check", "--no-respect-gitignore", blocks)
    # Settings unpacked into `connect(**settings)` have one type; the arguments have several.
    paths = {"MYPYPATH": f"{EXAMPLE}:{MAPPINGS}"}
    session.run("mypy", "--disable-error-code", "arg-type", programs, env=paths)


@nox.session(python=OLDEST)
def reference(session: nox.Session) -> None:
    """Fail when a rendered page is out of date, or a change of the API isn't in the changelog."""
    install(session)
    session.run("python", "docs/render.py", "--check")
    session.run("python", "docs/render.py", "--api")


@nox.session(python=OLDEST)
def docs(session: nox.Session) -> None:
    """Build the site; a warning is an error."""
    install(session)
    build_site(session)


@nox.session(python=OLDEST)
def pictures(session: nox.Session) -> None:
    """Build the site and take pictures of its main pages. Needs Chromium."""
    install(session)
    build_site(session)
    session.run("python", "docs/pictures.py")
