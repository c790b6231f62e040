"""`tillpost connect`, `reconnect`, `connections` and `disconnect`: whose stores orders may go to, and how that stands.

With `--json`, connect and reconnect print {"ok", "connection", "platform", "granted_by", "scopes",
"expires_at", "resumed", "findings"}; connections prints {"ok", "connections": [...]}, each with
"name", "healthy", "fault", "paused", "expires_at" and more; disconnect prints {"ok", "connection",
"revoked"}. No secret is ever printed.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from tillpost.adapter.readiness import Readiness
from tillpost.authorization import revoke
from tillpost.cli.commands.connect_settings import REDIRECT, Link, Linked, given, label
from tillpost.cli.connection_option import AsJson, ConfigFile
from tillpost.cli.exit_codes import NOT_RIGHT, CliError, code_for
from tillpost.cli.outbox_option import DatabaseUrl, opened
from tillpost.cli.output import (
    error_facts,
    progress,
    show_error,
    show_facts,
    show_json,
    show_table,
    tell,
)
from tillpost.client.base import adapter_for
from tillpost.errors import ConfigError, PermissionsError, PosError
from tillpost.errors.remedies import ACTORS
from tillpost.plugins.manager import adapter_named

if TYPE_CHECKING:
    from tillpost.outbox.connections.credentials import Grant
    from tillpost.outbox.operations.connections import Connections, ConnectionState

__all__ = ["connect", "connections", "disconnect", "reconnect"]

Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="A setting of the platform, such as location_id=L123. A secret only as NAME=env:VARIABLE.",
    ),
]
TokenFromStdin = Annotated[
    bool,
    typer.Option(
        "--access-token-stdin",
        help="Read an access token that was made by hand from standard input.",
    ),
]
By = Annotated[
    str,
    typer.Option(
        "--by", metavar="WHO", help="Who grants access, for when that has to be done again."
    ),
]
RedirectUri = Annotated[
    str,
    typer.Option(
        "--redirect-uri",
        metavar="URL",
        help="The address that the application is registered with; the code is caught there if it is on this "
        "machine, and pasted otherwise.",
    ),
]
NoBrowser = Annotated[
    bool, typer.Option("--no-browser", help="Only print the provider's page, don't open it.")
]
Wait = Annotated[
    float, typer.Option("--wait", min=1, max=3600, help="How many seconds to wait for the admin.")
]


_OF = {"file": "the file", "database": "the database", "both": "both"}


def connect(
    platform: Annotated[
        str, typer.Argument(metavar="PLATFORM", help="Such as square, kounta or generic.")
    ],
    name: Annotated[
        str, typer.Option("--name", "-n", metavar="NAME", help="What the connection is called.")
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
    """Connect a store: an admin of it grants access, and its tokens are kept in the outbox's database, sealed.

    What is still needed is asked for. TILLPOST_KEY holds the key that tokens are sealed with;
    `tillpost key new` makes one.
    """
    with _connections(db, config, new=True) as known:
        if name in known.known.all():
            raise CliError(f"there is a connection {name!r} already: tillpost reconnect {name}")
        link = Link(
            name, platform, given(platform, settings or ()), by, redirect_uri, not no_browser, wait
        )
        _link(known, link.with_token() if access_token_stdin else link, {}, as_json=as_json)


def reconnect(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="The connection, here or in the TOML file.")
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
    """Connect a store again, best by another admin: its paused orders go on by themselves.

    The new token wins over one that stands in the TOML file.
    """
    with _connections(db, config, new=True) as known:
        of_file, stored = known.known.get(name)
        platform = of_file.platform if of_file else stored.platform if stored else ""
        try:
            before = known.known.settings(of_file, stored)
        except (
            ConfigError
        ):  # its key is lost, or a variable isn't set: all that it had is asked for again
            before = dict(stored.settings) if stored else {}
        theirs = frozenset(of_file.settings if of_file else ())
        link = Link(
            name,
            platform,
            given(platform, settings or ()),
            by,
            redirect_uri,
            not no_browser,
            wait,
            theirs,
        )
        _link(known, link.with_token() if access_token_stdin else link, before, as_json=as_json)


def connections(
    db: DatabaseUrl = "",
    config: ConfigFile = "",
    as_json: AsJson = False,
) -> None:
    """List all connections, of the TOML file and of the database: are they well, until when, and what is missing?"""
    with _connections(db, config, new=True) as known:
        states = known.states()
    well = all(state.healthy for state in states)
    if as_json:
        show_json({"ok": well, "connections": [_facts(state) for state in states]})
    elif not states:
        tell("No connections. Connect a store: tillpost connect PLATFORM --name NAME")
    else:
        show_table(
            "",
            ("Name", "Platform", "Health", "Known to", "Connected by", "Token", "Waiting"),
            (
                (
                    s.name,
                    s.platform,
                    health(s),
                    _OF[s.of],
                    s.granted_by,
                    _expiry(s),
                    str(s.waiting) if s.waiting else "",
                )
                for s in states
            ),
        )
    if not well:
        raise typer.Exit(NOT_RIGHT)


def disconnect(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The connection.")],
    local: Annotated[
        bool, typer.Option("--local", help="Only delete the tokens here; leave the provider.")
    ] = False,
    db: DatabaseUrl = "",
    config: ConfigFile = "",
    as_json: AsJson = False,
) -> None:
    """Give a store's access back at the provider, where that can be done, and delete its tokens here."""
    with _connections(db, config) as known:
        of_file, stored = known.known.get(name)
        if stored is None:
            raise CliError(f"{name} stands in the TOML file alone; nothing of it is kept here")
        revoked = False
        if not local and "revoke" in adapter_named(stored.platform).capabilities():
            revoked = _revoke(known, name, as_json=as_json)
        known.forget(name)
    if as_json:
        show_json({"ok": True, "connection": name, "revoked": revoked})
        return
    tell(f"{name} is disconnected, and its tokens are deleted.", "bold green")
    if not revoked:
        tell(
            "The access itself wasn't given back: an admin of the store can do that at the provider."
        )
    if of_file:
        tell(f"{of_file.source} still has a connection of that name, and its token counts again.")


@contextmanager
def _connections(db: str, config: str, *, new: bool = False) -> Generator[Connections]:
    """Open the outbox's connections, and close them after the block."""
    with opened(db, config, new=new) as outbox:
        from tillpost.outbox.operations.connections import Connections

        outbox.prepare()
        yield Connections(outbox)


def _link(known: Connections, link: Link, before: Mapping[str, object], *, as_json: bool) -> None:
    """Have access granted, keep it, and show what came of it."""
    from tillpost.outbox.connections.credentials import Grant

    known.vault.keyring()  # before anybody grants anything
    try:
        linked = link.made(before)
    except PosError as error:
        _fail(link.name, error, "The store can't be connected", as_json=as_json)
    seen, expires_at = linked.account, linked.expires_at
    grant = Grant(linked.granted_by, seen.scopes, expires_at.timestamp() if expires_at else None)
    resumed = known.keep(link.name, link.platform, linked.settings, grant)
    readiness = _checked(known, link.name, as_json=as_json)
    if as_json:
        facts = {"granted_by": grant.granted_by, "scopes": grant.scopes, "expires_at": expires_at}
        told = {"ok": readiness.ready, "connection": link.name, "platform": link.platform, **facts}
        show_json({**told, "resumed": resumed, "findings": readiness.findings})
    else:
        _show(link, linked, grant, readiness, resumed=resumed)
    if not readiness.ready:
        raise typer.Exit(NOT_RIGHT)


def _checked(known: Connections, name: str, *, as_json: bool) -> Readiness:
    """Look whether the store can take orders, with the token that was kept."""
    from tillpost.outbox import Processor
    from tillpost.outbox.delivery.store_queries import StoreQueries

    try:
        with (
            progress("Checking the connection, the store and the register"),
            Processor(known.outbox) as processor,
        ):
            return StoreQueries(processor.connections[name]).check()
    except PosError as error:
        _fail(name, error, f"{name} is connected, but can't be checked", as_json=as_json)


def _show(link: Link, linked: Linked, grant: Grant, readiness: Readiness, *, resumed: bool) -> None:
    tell(f"{link.name} is connected.", "bold green")
    chosen = {setting: str(linked.settings.get(setting, "")) for setting in linked.account.choices}
    names = {c.value: c.name for choices in linked.account.choices.values() for c in choices}
    show_facts(
        (
            ("Connected by", grant.granted_by),
            ("Account", linked.account.name),
            ("Scopes", ", ".join(grant.scopes)),
            ("Token", f"until {linked.expires_at:%Y-%m-%d %H:%M} UTC" if linked.expires_at else ""),
            *(
                (label(setting), f"{names.get(value, '')} ({value})")
                for setting, value in chosen.items()
                if value
            ),
        )
    )
    if resumed:
        tell("Its paused orders go on by themselves.", "bold green")
    for finding in readiness.findings:
        who = f" ({ACTORS[finding.actor]} must act)" if finding.actor and not finding.ok else ""
        tell(
            f"  {'ok' if finding.ok else 'NO'}  {finding.text}{who}",
            "" if finding.ok else "bold red",
        )


def _revoke(known: Connections, name: str, *, as_json: bool) -> bool:
    """Give the access back, and return whether that was done. It can't be where no application was granted it."""
    of_file, stored = known.known.get(name)
    adapter = adapter_for(stored.platform if stored else "", known.known.settings(of_file, stored))
    credentials = adapter.config.credentials()
    if credentials.client_secret is None:
        return False
    try:
        revoke(adapter.platform, credentials, base_url=adapter.config.base_url)
    except PermissionsError:
        return False  # it was withdrawn before
    except PosError as error:
        _fail(
            name,
            error,
            "The access can't be given back now; --local deletes the tokens here",
            as_json=as_json,
        )
    return True


def _fail(name: str, error: PosError, headline: str, *, as_json: bool) -> NoReturn:
    if as_json:
        show_json({"ok": False, "connection": name, **error_facts(error)})
    else:
        show_error(error, headline, outcome=False)
    raise typer.Exit(code_for(error))


def _facts(state: ConnectionState) -> dict[str, object]:
    return {**state.model_dump(mode="json"), "expired": state.expired, "healthy": state.healthy}


def health(state: ConnectionState) -> str:
    """Say in a few words how a connection stands, and what to do where that is something."""
    if state.fault:
        return state.fault
    if state.paused or state.expired:
        since = f" since {state.paused_at.astimezone():%Y-%m-%d %H:%M}" if state.paused_at else ""
        who = (
            f", best by another admin than {state.granted_by}"
            if state.granted_by and state.paused
            else ""
        )
        return f"must be reconnected{since}: tillpost reconnect {state.name}{who}"
    if state.outage_since:
        return f"the platform can't be reached or fails since {state.outage_since.astimezone():%Y-%m-%d %H:%M}"
    if state.takes_orders is False:
        return state.closed_for or "takes no orders now"
    return "well"


def _expiry(state: ConnectionState) -> str:
    if state.expires_at is None:
        return "renews itself" if state.renews else ""
    until = f"until {state.expires_at.astimezone():%Y-%m-%d %H:%M}"
    return f"{until}, renews itself" if state.renews else until
