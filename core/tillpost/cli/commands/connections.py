"""`tillpost connect`, `reconnect`, `connections` and `disconnect`.

They manage the stores' connections. With `--json`, connect and reconnect print {"ok", "connection",
"platform", "granted_by", "scopes", "expires_at", "resumed", "findings"}. Connections prints {"ok",
"connections": [...]}, each with "name", "healthy", "fault", "paused", "expires_at" and more.
Disconnect prints {"ok", "connection", "revoked"}. No secret is ever printed.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from tillpost.adapter.readiness import Finding, Readiness
from tillpost.authorization import revoke
from tillpost.cli.commands.connect_settings import (
    REDIRECT,
    ConnectRequest,
    NewConnection,
    label,
    parse_settings,
)
from tillpost.cli.connection_option import AsJson, ConfigFile
from tillpost.cli.exit_codes import NOT_RIGHT, CliError, code_for
from tillpost.cli.outbox_option import DatabaseUrl, opened
from tillpost.cli.output import (
    error_facts,
    print_error,
    print_line,
    progress,
    show_error,
    show_facts,
    show_json,
    show_table,
)
from tillpost.client.base import adapter_for
from tillpost.errors import ConfigError, PermissionsError, PosError
from tillpost.errors.remedies import ACTORS
from tillpost.models.safe_text import shell_word
from tillpost.plugins.manager import adapter_named

if TYPE_CHECKING:
    from tillpost.outbox.operations.connections import Connections, ConnectionState

__all__ = ["connect", "connections", "disconnect", "reconnect"]

Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="A setting of the platform, such as location_id=L123. Give secrets as "
        "NAME=env:VARIABLE. Can be repeated.",
    ),
]
TokenFromStdin = Annotated[
    bool,
    typer.Option(
        "--access-token-stdin",
        help="Read an access token that was created by hand from standard input.",
    ),
]
By = Annotated[
    str,
    typer.Option(
        "--by",
        metavar="WHO",
        help="Who grants access. Shown when the store has to be reconnected.",
    ),
]
RedirectUri = Annotated[
    str,
    typer.Option(
        "--redirect-uri",
        metavar="URL",
        help="The redirect address that is registered for the application. If it is on this "
        "machine, the code is received there; otherwise it has to be pasted.",
    ),
]
NoBrowser = Annotated[
    bool,
    typer.Option("--no-browser", help="Print the provider's page without opening it."),
]
Wait = Annotated[
    float,
    typer.Option("--wait", min=1, max=3600, help="How long to wait for the admin, in seconds."),
]

_SOURCES = {"file": "the file", "database": "the database", "both": "both"}


def connect(
    platform: Annotated[
        str, typer.Argument(metavar="PLATFORM", help="Such as square, kounta or generic.")
    ],
    name: Annotated[
        str, typer.Option("--name", "-n", metavar="NAME", help="The connection's name.")
    ],
    settings: Set = None,
    by: By = "",
    access_token_stdin: TokenFromStdin = False,
    redirect_uri: RedirectUri = REDIRECT,
    no_browser: NoBrowser = False,
    wait: Wait = 300.0,
    db: DatabaseUrl = "",
    config: ConfigFile = "",
    as_json: AsJson = False,
) -> None:
    """Connect a store.

    An admin of the store grants access, and its tokens are stored encrypted in the outbox's
    database. Missing settings are asked for. TILLPOST_KEY has the encryption key; `tillpost key
    new` generates one.
    """
    with _open_connections(db, config, new=True) as connections:
        if name in connections.names():
            raise CliError(
                f"the connection {name!r} already exists; to reconnect it: tillpost reconnect "
                f"{name}"
            )
        request = ConnectRequest(
            name=name,
            platform=platform,
            given=parse_settings(platform, settings or ()),
            by=by,
            redirect_uri=redirect_uri,
            browser=not no_browser,
            wait=wait,
        )
        if access_token_stdin:
            request = request.with_token_from_stdin()
        _connect(connections, request, {}, as_json=as_json)


def reconnect(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="A connection in the outbox's database or the TOML file."
        ),
    ],
    settings: Set = None,
    by: By = "",
    access_token_stdin: TokenFromStdin = False,
    redirect_uri: RedirectUri = REDIRECT,
    no_browser: NoBrowser = False,
    wait: Wait = 300.0,
    db: DatabaseUrl = "",
    config: ConfigFile = "",
    as_json: AsJson = False,
) -> None:
    """Reconnect a store, preferably by another admin.

    Its paused orders resume automatically. The new token takes precedence over one in the TOML
    file.
    """
    with _open_connections(db, config, new=True) as connections:
        of_file, stored = connections.get(name)
        platform = of_file.platform if of_file else stored.platform if stored else ""
        try:
            previous = connections.known.settings(of_file, stored)
        except ConfigError as error:
            # The key is lost, a variable isn't set, or somebody changed the row. Settings that
            # can't be verified must not say where the new tokens go: they are asked for again.
            print_error(f"{error}. Its earlier settings aren't used")
            previous = of_file.available_settings if of_file else {}
        request = ConnectRequest(
            name=name,
            platform=platform,
            given=parse_settings(platform, settings or ()),
            by=by,
            redirect_uri=redirect_uri,
            browser=not no_browser,
            wait=wait,
            in_file=frozenset(of_file.settings if of_file else ()),
        )
        if access_token_stdin:
            request = request.with_token_from_stdin()
        _connect(connections, request, previous, as_json=as_json)


def connections(
    db: DatabaseUrl = "",
    config: ConfigFile = "",
    as_json: AsJson = False,
) -> None:
    """List all connections of file, database and plugins, with their health.

    The exit code is 1 if any of them needs attention.
    """
    with _open_connections(db, config, new=True) as known:
        states = known.states()
    all_healthy = all(state.healthy for state in states)
    if as_json:
        show_json({"ok": all_healthy, "connections": [_facts(state) for state in states]})
    elif states:
        columns = ("Name", "Platform", "Health", "Known to", "Connected by", "Token", "Waiting")
        show_table("", columns, [_row(state) for state in states])
    else:
        print_line("No connections. Connect a store: tillpost connect PLATFORM --name NAME")
    if not all_healthy:
        raise typer.Exit(NOT_RIGHT)


def disconnect(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The connection.")],
    local: Annotated[
        bool,
        typer.Option("--local", help="Only delete the tokens here; don't contact the provider."),
    ] = False,
    db: DatabaseUrl = "",
    config: ConfigFile = "",
    as_json: AsJson = False,
) -> None:
    """Revoke a store's access at the provider if possible; delete its tokens here."""
    with _open_connections(db, config) as connections:
        of_file, stored = connections.get(name)
        if stored is None:
            raise CliError(
                f"{name} is only in the TOML file; remove it there. No tokens are stored here"
            )
        revoked = False
        if not local and "revoke" in adapter_named(stored.platform).capabilities():
            revoked = _revoke(connections, name, as_json=as_json)
        connections.disconnect(name)
    if as_json:
        show_json({"ok": True, "connection": name, "revoked": revoked})
        return
    print_line(f"{name} is disconnected, and its tokens are deleted.", "bold green")
    if not revoked:
        print_line("The access wasn't revoked. An admin of the store can do that at the provider.")
    if of_file:
        print_line(
            f"{of_file.source} still has a connection of that name; its token is used from now on."
        )


@contextmanager
def _open_connections(db: str, config: str, *, new: bool = False) -> Generator[Connections]:
    """Open the outbox's connections for the duration of the block."""
    with opened(db, config, new=new) as outbox:
        from tillpost.outbox.operations.connections import Connections

        outbox.prepare()
        yield Connections(outbox)


def _connect(
    connections: Connections,
    request: ConnectRequest,
    previous: Mapping[str, object],
    *,
    as_json: bool,
) -> None:
    """Get access, store the connection, check it, and print the result."""
    from tillpost.outbox.connections.credentials import Grant

    # Raises `ConfigError` without a key, before anybody is asked to grant access.
    connections.credentials.keyring()
    try:
        new = request.collect(previous)
    except PosError as error:
        _fail(request.name, error, "The store can't be connected", as_json=as_json)
    expires_at = new.expires_at
    grant = Grant(
        new.granted_by, new.account.scopes, expires_at.timestamp() if expires_at else None
    )
    resumed = connections.connect(request.name, request.platform, new.settings, grant)
    readiness = _check(connections, request.name, as_json=as_json)
    if as_json:
        show_json(
            {
                "ok": readiness.ready,
                "connection": request.name,
                "platform": request.platform,
                "granted_by": grant.granted_by,
                "scopes": grant.scopes,
                "expires_at": expires_at,
                "resumed": resumed,
                "findings": readiness.findings,
            }
        )
    else:
        _show_connected(request.name, new, resumed=resumed)
        _show_findings(readiness)
    if not readiness.ready:
        raise typer.Exit(NOT_RIGHT)


def _check(connections: Connections, name: str, *, as_json: bool) -> Readiness:
    """Check whether the store can take orders with the token that was stored."""
    from tillpost.outbox import Processor
    from tillpost.outbox.delivery.store_queries import StoreQueries

    try:
        with (
            progress("Checking the connection, the store and the register"),
            Processor(connections.outbox) as processor,
        ):
            return StoreQueries(processor.connections[name]).check()
    except PosError as error:
        _fail(name, error, f"{name} is connected, but the check failed", as_json=as_json)


def _show_connected(name: str, new: NewConnection, *, resumed: bool) -> None:
    print_line(f"{name} is connected.", "bold green")
    token = f"until {new.expires_at:%Y-%m-%d %H:%M} UTC" if new.expires_at else ""
    facts = [
        ("Connected by", new.granted_by),
        ("Account", new.account.name),
        ("Scopes", ", ".join(new.account.scopes)),
        ("Token", token),
    ]
    for setting, choices in new.account.choices.items():
        value = str(new.settings.get(setting, ""))
        if value:
            names = {choice.value: choice.name for choice in choices}
            name = names.get(value, "")
            facts.append((label(setting), f"{name} ({value})"))
    show_facts(facts)
    if resumed:
        print_line("Its paused orders resume automatically.", "bold green")


def _show_findings(readiness: Readiness) -> None:
    for finding in readiness.findings:
        if finding.ok:
            print_line(f"  ok  {finding.text}")
        else:
            print_line(f"  NO  {finding.text}{_who_must_act(finding)}", "bold red")


def _who_must_act(finding: Finding) -> str:
    if not finding.actor:
        return ""
    return f" ({ACTORS[finding.actor]} must act)"


def _revoke(connections: Connections, name: str, *, as_json: bool) -> bool:
    """Revoke the access at the provider, and return whether it was revoked.

    Access that no application was granted, or that was withdrawn before, can't be revoked.
    """
    of_file, stored = connections.known.get(name)
    settings = connections.known.settings(of_file, stored)
    adapter = adapter_for(stored.platform if stored else "", settings)
    credentials = adapter.config.credentials()
    if credentials.client_secret is None:
        return False
    try:
        revoke(adapter.platform, credentials, base_url=adapter.config.base_url)
    except PermissionsError:
        return False
    except PosError as error:
        headline = "The access can't be revoked now; --local only deletes the tokens here"
        _fail(name, error, headline, as_json=as_json)
    return True


def _fail(name: str, error: PosError, headline: str, *, as_json: bool) -> NoReturn:
    """Print an error, and end the command with its exit code."""
    if as_json:
        show_json({"ok": False, "connection": name, **error_facts(error)})
    else:
        show_error(error, headline, outcome=False)
    raise typer.Exit(code_for(error))


def _facts(state: ConnectionState) -> dict[str, object]:
    """Return a connection as `--json` prints it."""
    return {**state.model_dump(mode="json"), "healthy": state.healthy}


def _row(state: ConnectionState) -> tuple[str, ...]:
    return (
        state.name,
        state.platform,
        health(state),
        _known_to(state),
        state.granted_by,
        _token_expiry(state),
        str(state.waiting or ""),
    )


def _known_to(state: ConnectionState) -> str:
    if state.defined_in == "plugin":
        return f"the plugin {state.plugin}"
    return _SOURCES[state.defined_in] + (f", and the plugin {state.plugin}" if state.plugin else "")


def health(state: ConnectionState) -> str:
    """Return a connection's health for people, and what to do if it isn't well."""
    if state.fault:
        return state.fault
    if state.paused or state.expired:
        since = f" since {_minute(state.paused_at)}" if state.paused_at else ""
        another = ""
        if state.granted_by and state.paused:
            another = f", preferably by another admin than {state.granted_by}"
        return f"must be reconnected{since}: tillpost reconnect {shell_word(state.name)}{another}"
    if state.outage_since:
        return f"the platform can't be reached, or fails, since {_minute(state.outage_since)}"
    if state.takes_orders is False:
        return state.closed_for or "takes no orders at the moment"
    return "well"


def _token_expiry(state: ConnectionState) -> str:
    renewal = "renewed automatically" if state.renews else ""
    until = f"until {_minute(state.expires_at)}" if state.expires_at else ""
    return ", ".join(part for part in (until, renewal) if part)


def _minute(at: datetime) -> str:
    """Format a time in this machine's time zone, to the minute."""
    return f"{at.astimezone():%Y-%m-%d %H:%M}"
