"""How an admin of a store grants access from a terminal: the provider's page, and the code that comes back from it.

Where the application's redirect address is on this machine, a small server catches the code there;
else the person pastes the address that the browser ended at, or the code. A `state` that isn't ours
is refused, whoever sent it.
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
from tillpost.cli.output import complain, one_line

__all__ = ["Application", "ask", "grant"]

LOOPBACK = ("localhost", "127.0.0.1")


class Application(NamedTuple):
    """What the provider knows of the application that a store is connected to."""

    platform: str
    client_id: str
    client_secret: str
    redirect_uri: str
    base_url: str = ""
    scopes: tuple[str, ...] = ()


def grant(application: Application, *, browser: bool, seconds: float) -> Credentials:
    """Have an admin open the provider's page, and return the credentials that come of it.

    Raises `CliError` when nobody does within `seconds`, the admin refuses, or what comes back isn't
    ours; and the provider's `PosError`.
    """
    state, verifier = new_state(), new_verifier()
    url = authorize_url(
        application.platform,
        client_id=application.client_id,
        redirect_uri=application.redirect_uri,
        state=state,
        scopes=application.scopes,
        code_verifier=verifier,
        base_url=application.base_url,
    )
    code = _code(url, application.redirect_uri, state, browser=browser, seconds=seconds)
    return exchange_code(
        application.platform,
        code=code,
        client_id=application.client_id,
        client_secret=application.client_secret,
        redirect_uri=application.redirect_uri,
        code_verifier=verifier
        if "code_challenge=" in url
        else "",  # a page without PKCE has left it out
        base_url=application.base_url,
    )


def ask(label: str, missing: str, *, hidden: bool = False, default: str | None = None) -> str:
    """Ask the person at the terminal; without one, take the default, or raise `CliError` that says what is `missing`."""
    try:
        answer: str = typer.prompt(
            label, hide_input=hidden, default=default, err=True, show_default=bool(default)
        )
    except typer.Abort as aborted:  # Ctrl-C, or nothing more to read
        typer.echo(err=True)
        if isinstance(aborted.__context__, KeyboardInterrupt):
            raise CliError("interrupted", INTERRUPTED) from None
        if default is None:
            raise CliError(missing) from None
        return default
    return answer.strip()


def _code(url: str, redirect_uri: str, state: str, *, browser: bool, seconds: float) -> str:
    there = urlsplit(redirect_uri)
    if there.scheme == "http" and there.hostname in LOOPBACK:
        with _listening(there.port or 80, there.path or "/", state) as server:
            _show(url, browser=browser)
            return server.wait(seconds)
    _show(url, browser=browser)
    pasted = ask(
        "Paste the address that your browser was sent to, or the code in it",
        "no code came: run the command where a person can paste it, or with a --redirect-uri on this machine",
    )
    return _read(parse_qs(urlsplit(pasted).query), state) if "://" in pasted else pasted


def _show(url: str, *, browser: bool) -> None:
    typer.echo(
        f"Somebody with admin rights at the provider has to open this page and agree:\n\n  {url}\n",
        err=True,
    )
    if browser:
        # Not waited for: one that runs in the terminal comes back only when it is closed, and we
        # are to answer it.
        threading.Thread(
            target=webbrowser.open, args=(url,), name="tillpost-browser", daemon=True
        ).start()


def _read(told: Mapping[str, list[str]], state: str) -> str:
    """Return the code that came back; raise `CliError` when it isn't an answer to our question, or is a refusal."""
    if not secrets.compare_digest(told.get("state", [""])[0].encode(), state.encode()):
        raise CliError(
            "what came back doesn't carry the state that went out: it answers another request, or was planted"
        )
    if refusal := told.get("error", []):
        words = " ".join([*refusal, *told.get("error_description", [])])
        raise CliError(f"access wasn't granted: {one_line(words)[:200]}")
    if not told.get("code", [""])[0]:
        raise CliError("what came back holds no code")
    return told["code"][0]


class _Callback(HTTPServer):
    """Waits on the loopback for the browser to come back with the code."""

    def __init__(self, port: int, path: str, state: str) -> None:
        self.path, self.state = path, state
        self.outcome: str | CliError | None = None
        super().__init__(("127.0.0.1", port), partial(_Handler, self))

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of a browser that hangs up early."""

    def wait(self, seconds: float) -> str:
        """Return the code. What isn't an answer to our question is turned away, and the wait goes on."""
        give_up_at = time.monotonic() + seconds
        while self.outcome is None:
            self.timeout = give_up_at - time.monotonic()
            if self.timeout <= 0:
                raise CliError(f"nobody agreed within {seconds:g} seconds")
            self.handle_request()
        if isinstance(self.outcome, CliError):
            raise self.outcome
        return self.outcome


class _Handler(BaseHTTPRequestHandler):
    """Answers the browser."""

    timeout = 5.0  # seconds for a request to come in whole

    def __init__(self, callback: _Callback, *connection: Any) -> None:
        self.callback = callback
        super().__init__(*connection)

    def do_GET(self) -> None:
        """Take the code out of the address."""
        asked = urlsplit(self.path)
        if asked.path != self.callback.path:
            self._say(404, "There is nothing here.")
            return
        told = parse_qs(asked.query)
        if not secrets.compare_digest(
            told.get("state", [""])[0].encode(), self.callback.state.encode()
        ):
            complain(
                "somebody came back with another state than the one that went out, and was turned away"
            )
            self._say(
                400, "This isn't an answer to the question that was asked. Nothing was connected."
            )
            return
        try:
            self.callback.outcome = _read(told, self.callback.state)
            self._say(200, "Thank you. You can close this page and go back to the terminal.")
        except CliError as stop:
            self.callback.outcome = stop
            self._say(200, str(stop))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name is the base's
        """Say nothing: the line would hold the code."""

    def _say(self, status: int, text: str) -> None:
        body = (
            f"<!doctype html><meta charset=utf-8><title>Tillpost</title><p>{escape(text)}".encode()
        )
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Referrer-Policy", "no-referrer")
        self.end_headers()
        self.wfile.write(body)


def _listening(port: int, path: str, state: str) -> _Callback:
    try:
        return _Callback(port, path, state)
    except OSError as error:
        why = error.strerror or "can't be listened on"
        raise CliError(
            f"port {port} of this machine: {why}; name another address with --redirect-uri"
        ) from None
