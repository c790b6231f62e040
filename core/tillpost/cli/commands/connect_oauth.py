"""Access to a store, granted from a terminal.

The provider's page grants it, and sends back a code. `grant` is what `tillpost connect` calls. If
the application's redirect address is on this machine, a small server receives the code there.
Otherwise the person pastes the address that the browser was sent to, or the code. An answer whose
`state` isn't the one that was sent is refused.
"""

from __future__ import annotations

import secrets
import threading
import time
import webbrowser
from collections.abc import Mapping
from functools import partial
from html import escape
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import typer

from tillpost.adapter.settings import Credentials
from tillpost.authorization import authorize_url, exchange_code, new_state, new_verifier
from tillpost.cli.exit_codes import INTERRUPTED, CliError
from tillpost.cli.output import one_line, print_error

__all__ = ["Application", "ask", "grant"]

LOOPBACK = ("localhost", "127.0.0.1")


class Application(NamedTuple):
    """The application, as the provider knows it, that a store is connected to."""

    platform: str
    client_id: str
    client_secret: str
    redirect_uri: str
    base_url: str = ""
    scopes: tuple[str, ...] = ()


def grant(application: Application, *, browser: bool, seconds: float) -> Credentials:
    """Ask an admin to grant access on the provider's page, and return the credentials.

    Args:
        application: The application that gets access.
        browser: Whether to open the page in a browser.
        seconds: How long to wait for the admin.

    Raises:
        CliError: If nobody grants access in time, the admin refuses, or the answer isn't valid.
        PosError: If the provider refuses to exchange the code.
    """
    state = new_state()
    verifier = new_verifier()
    url = authorize_url(
        application.platform,
        client_id=application.client_id,
        redirect_uri=application.redirect_uri,
        state=state,
        scopes=application.scopes,
        code_verifier=verifier,
        base_url=application.base_url,
    )
    code = _get_code(url, application.redirect_uri, state, browser=browser, seconds=seconds)
    # A provider without PKCE has no challenge in its page's address, and takes no verifier.
    uses_pkce = "code_challenge=" in url
    return exchange_code(
        application.platform,
        code=code,
        client_id=application.client_id,
        client_secret=application.client_secret,
        redirect_uri=application.redirect_uri,
        code_verifier=verifier if uses_pkce else "",
        base_url=application.base_url,
    )


def ask(label: str, missing: str, *, hidden: bool = False, default: str | None = None) -> str:
    """Ask the person at the terminal for a text.

    Args:
        label: What is asked for.
        missing: The error when nobody can answer.
        hidden: Whether the answer isn't shown.
        default: The answer when nobody can answer; None for an error.

    Raises:
        CliError: If there is no answer and no default, or on Ctrl-C.
    """
    try:
        answer: str = typer.prompt(
            label,
            hide_input=hidden,
            default=default,
            err=True,
            show_default=bool(default),
        )
    except typer.Abort as aborted:
        # Raised for Ctrl-C, and at the end of the input.
        typer.echo(err=True)
        if isinstance(aborted.__context__, KeyboardInterrupt):
            raise CliError("interrupted", INTERRUPTED) from None
        if default is None:
            raise CliError(missing) from None
        return default
    return answer.strip()


def _get_code(url: str, redirect_uri: str, state: str, *, browser: bool, seconds: float) -> str:
    """Show the provider's page, and return the code that comes back."""
    redirect = urlsplit(redirect_uri)
    if redirect.scheme == "http" and redirect.hostname in LOOPBACK:
        with _listen(redirect.port or 80, redirect.path or "/", state) as server:
            _show_page(url, browser=browser)
            return server.wait(seconds)
    _show_page(url, browser=browser)
    pasted = ask(
        "Paste the address that your browser was sent to, or the code in it",
        "no code was entered: run the command in a terminal, or with a --redirect-uri on this "
        "machine",
    )
    if "://" not in pasted:
        return pasted
    answer = parse_qs(urlsplit(pasted).query)
    return _read_code(answer, state)


def _show_page(url: str, *, browser: bool) -> None:
    typer.echo(f"Ask an admin of the store to open this page and agree:\n\n  {url}\n", err=True)
    if not browser:
        return
    # In a thread: a browser that runs in the terminal only returns when it is closed, and its
    # request has to be answered before that.
    thread = threading.Thread(
        target=webbrowser.open,
        args=(url,),
        name="tillpost-browser",
        daemon=True,
    )
    thread.start()


def _has_state(answer: Mapping[str, list[str]], state: str) -> bool:
    """Return whether the answer carries the state that was sent."""
    received = answer.get("state", [""])[0]
    return secrets.compare_digest(received.encode(), state.encode())


def _read_code(answer: Mapping[str, list[str]], state: str) -> str:
    """Return the code in the provider's answer.

    Raises:
        CliError: If the answer has another state, is a refusal, or has no code.
    """
    if not _has_state(answer, state):
        raise CliError("the answer doesn't carry the state that was sent, so it was refused")
    refusal = answer.get("error", [])
    if refusal:
        message = " ".join([*refusal, *answer.get("error_description", [])])
        raise CliError(f"access wasn't granted: {one_line(message)[:200]}")
    code = answer.get("code", [""])[0]
    if not code:
        raise CliError("the answer has no code")
    return code


class _CallbackServer(HTTPServer):
    """Waits on the loopback interface for the browser to bring the code."""

    def __init__(self, port: int, path: str, state: str) -> None:
        self.path = path
        self.state = state
        self.outcome: str | CliError | None = None
        super().__init__(("127.0.0.1", port), partial(_CallbackHandler, self))

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore browsers that disconnect early."""

    def wait(self, seconds: float) -> str:
        """Return the code. Answers with another state are refused, and the wait goes on."""
        deadline = time.monotonic() + seconds
        while self.outcome is None:
            self.timeout = deadline - time.monotonic()
            if self.timeout <= 0:
                raise CliError(f"access wasn't granted within {seconds:g} seconds")
            self.handle_request()
        if isinstance(self.outcome, CliError):
            raise self.outcome
        return self.outcome


class _CallbackHandler(BaseHTTPRequestHandler):
    """Answers the browser."""

    timeout = 5.0
    """How long a request may take to arrive, in seconds."""

    def __init__(self, server: _CallbackServer, *connection: Any) -> None:
        self.callback = server
        super().__init__(*connection)

    def do_GET(self) -> None:
        """Read the code from the address."""
        address = urlsplit(self.path)
        if address.path != self.callback.path:
            self._send(404, "Not found.")
            return
        answer = parse_qs(address.query)
        if not _has_state(answer, self.callback.state):
            print_error("refused an answer that doesn't carry the state that was sent")
            self._send(400, "This answer belongs to another request. Nothing was connected.")
            return
        try:
            self.callback.outcome = _read_code(answer, self.callback.state)
            self._send(200, "Thank you. You can close this page and return to the terminal.")
        except CliError as error:
            self.callback.outcome = error
            self._send(200, str(error))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base's name
        """Log nothing, because the line would have the code."""

    def _send(self, status: int, text: str) -> None:
        page = f"<!doctype html><meta charset=utf-8><title>Tillpost</title><p>{escape(text)}"
        body = page.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Referrer-Policy", "no-referrer")
        self.end_headers()
        self.wfile.write(body)


def _listen(port: int, path: str, state: str) -> _CallbackServer:
    try:
        return _CallbackServer(port, path, state)
    except OSError as error:
        why = error.strerror or "cannot be opened"
        raise CliError(
            f"port {port} of this machine: {why}; choose another address with --redirect-uri"
        ) from None
