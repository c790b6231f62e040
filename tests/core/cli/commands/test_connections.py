"""Connections from the command line: connect, reconnect, disconnect, and their use in commands."""

from __future__ import annotations

import json
import os
import re
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from sqlalchemy import text

from core.cli.conftest import Command, write_config
from tillpost import Order, Outbox
from tillpost.outbox import Processor, Worker
from tillpost.outbox.connections.encryption import new_key
from tillpost.simulator import Running, serve_in_thread
from tillpost_simulators.generic import GenericSimulator
from tillpost_simulators.kounta import KountaSettings, KountaSimulator
from tillpost_simulators.square import SquareSimulator
from tillpost_simulators.square.world import WorldSettings

COMMAND = [sys.executable, "-c", "from tillpost_command import main; main()"]


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@pytest.fixture(autouse=True)
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Set a new key in the environment, and return it."""
    made = new_key()
    monkeypatch.setenv("TILLPOST_KEY", made)
    return made


@pytest.fixture
def square() -> Iterator[Running[SquareSimulator]]:
    """Serve a Square account whose application has a redirect address on this machine."""
    settings = WorldSettings(redirect_url=f"http://localhost:{free_port()}/callback")
    with serve_in_thread(SquareSimulator(settings)) as running:
        yield running


def application(running: Running[SquareSimulator], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the options that name the application. Its secret is in the environment."""
    app = running.simulator.settings
    monkeypatch.setenv("SQUARE_SECRET", app.client_secret)
    named = [
        f"client_id={app.client_id}",
        "client_secret=env:SQUARE_SECRET",
        f"base_url={running.url}",
    ]
    return [part for one in named for part in ("--set", one)]


def on_disk(folder: Path) -> bytes:
    """Return the content of all files in the folder."""
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def secrets_of(running: Running[SquareSimulator]) -> list[bytes]:
    """Return all tokens that the provider issued, and the application's secret."""
    world = running.simulator.world
    tokens = [*world.tokens, *(token.refresh_token for token in world.tokens.values())]
    return [text.encode() for text in (*tokens, running.simulator.settings.client_secret)]


def waiting(options: list[str], url: str) -> tuple[subprocess.Popen[str], str]:
    """Start `tillpost connect` in a process of its own; return it and the provider's page."""
    command = [*COMMAND, "connect", "square", "--name", "cafe-42", "--set", "location_id=L-CAFE"]
    more = ["--redirect-uri", url, "--no-browser", "--wait", "30"]
    running = subprocess.Popen(
        [*command, *options, *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert running.stderr is not None
    while not (found := re.search(r"http://\S+/oauth2/authorize\S+", running.stderr.readline())):
        assert running.poll() is None
    return running, found.group()


# Connecting


def test_connect_opens_browser_and_receives_the_code(
    square: Running[SquareSimulator],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    tillpost: Command,
) -> None:
    """The browser is a program that follows redirects, named by the BROWSER variable."""
    browser = folder / "browser.py"
    browser.write_text(
        "import sys, httpx\nprint(httpx.get(sys.argv[1], follow_redirects=True).text)\n"
    )
    options = application(square, monkeypatch)
    ran = subprocess.run(
        [
            *COMMAND,
            *(
                "connect",
                "square",
                "--name",
                "cafe-42",
                "--by",
                "Mia Chen",
                "--json",
                "--wait",
                "30",
                *options,
                "--set",
                "location_id=L-CAFE",
            ),
            *("--redirect-uri", square.simulator.settings.redirect_url),
        ],
        env={**os.environ, "BROWSER": f"{sys.executable} {browser} %s"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    facts = json.loads(ran.stdout[ran.stdout.index("{") :])
    assert (facts["ok"], facts["granted_by"], facts["resumed"]) == (True, "Mia Chen", False)
    assert "ORDERS_WRITE" in facts["scopes"]
    assert facts["expires_at"]
    (state,) = tillpost("connections", "--json").json["connections"]
    assert (state["name"], state["defined_in"], state["healthy"], state["renews"]) == (
        "cafe-42",
        "database",
        True,
        True,
    )
    for secret in secrets_of(square):
        assert secret not in on_disk(folder)
        assert secret not in f"{ran.stdout}{ran.stderr}".encode()


def test_connect_accepts_a_pasted_code(
    square: Running[SquareSimulator], monkeypatch: pytest.MonkeyPatch, tillpost: Command
) -> None:
    code = square.simulator.new_authorisation_code()
    options = application(square, monkeypatch)
    arguments = (
        "connect",
        "square",
        "--name",
        "cafe-42",
        "--redirect-uri",
        "https://shop.example/back",
        *options,
    )
    result = tillpost(*arguments, "--no-browser", input=f"{code}\n1\n")
    assert result.code == 0, result.err
    assert "cafe-42 is connected." in result.out
    assert "Simulated Cafe" in result.out
    page = re.search(r"http://\S+/oauth2/authorize\S+", result.err)
    assert page is not None
    asked = parse_qs(urlsplit(page.group()).query)
    assert asked["redirect_uri"] == ["https://shop.example/back"]
    assert "code_challenge" in asked
    assert len(asked["state"][0]) >= 24


def test_pasted_address_with_another_state_is_refused(
    square: Running[SquareSimulator], monkeypatch: pytest.MonkeyPatch, tillpost: Command
) -> None:
    code = square.simulator.new_authorisation_code()
    options = application(square, monkeypatch)
    arguments = (
        "connect",
        "square",
        "--name",
        "cafe-42",
        "--redirect-uri",
        "https://shop.example/back",
        *options,
    )
    result = tillpost(
        *arguments, "--no-browser", input=f"https://shop.example/back?code={code}&state=planted\n"
    )
    assert result.code == 2
    assert "doesn't carry the state that was sent" in result.err
    assert tillpost("connections", "--json").json["connections"] == []
    assert square.simulator.count("POST", "/oauth2/token") == 0


def test_forged_callback_is_refused_and_the_wait_continues(
    square: Running[SquareSimulator], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = square.simulator.settings.redirect_url
    running, page = waiting(application(square, monkeypatch), url)
    try:
        assert httpx.get(f"{url}?code=planted&state=planted").status_code == 400
        assert httpx.get(url.replace("/callback", "/other")).status_code == 404
        assert httpx.get(page, follow_redirects=True).status_code == 200
        out, _ = running.communicate(timeout=30)
    finally:
        running.kill()
    assert running.returncode == 0
    assert "cafe-42 is connected." in out


def test_no_answer_in_time_is_one_line(
    square: Running[SquareSimulator], monkeypatch: pytest.MonkeyPatch, tillpost: Command
) -> None:
    url = square.simulator.settings.redirect_url
    options = [
        *application(square, monkeypatch),
        "--redirect-uri",
        url,
        "--no-browser",
        "--wait",
        "1",
    ]
    result = tillpost("connect", "square", "--name", "cafe-42", *options)
    assert result.code == 2
    assert result.err.endswith("tillpost: access wasn't granted within 1 seconds\n")


def test_refusal_by_the_admin_is_one_line(
    square: Running[SquareSimulator], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = square.simulator.settings.redirect_url
    running, page = waiting(application(square, monkeypatch), url)
    state = parse_qs(urlsplit(page).query)["state"][0]
    httpx.get(f"{url}?error=access_denied&error_description=Not+today&state={state}")
    _, err = running.communicate(timeout=30)
    assert running.returncode == 2
    assert "tillpost: access wasn't granted: access_denied Not today" in err


def test_kounta_settings_are_chosen_from_the_account(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tillpost: Command
) -> None:
    with serve_in_thread(
        KountaSimulator(KountaSettings(redirect_uri="https://shop.example/back"))
    ) as kounta:
        app = kounta.simulator.settings
        monkeypatch.setenv("KOUNTA_SECRET", app.client_secret)
        named = [
            f"client_id={app.client_id}",
            "client_secret=env:KOUNTA_SECRET",
            f"base_url={kounta.url}",
        ]
        options = [part for one in named for part in ("--set", one)]
        code = kounta.simulator.new_authorisation_code()
        arguments = (
            "connect",
            "kounta",
            "--name",
            "cafe-7",
            "--redirect-uri",
            app.redirect_uri,
            "--no-browser",
        )
        result = tillpost(
            *arguments, *options, input=f"{code}\n{app.site_id}\n{app.payment_method_id}\n"
        )
        assert result.code == 0, result.err
        assert str(app.site_id) in result.out
        (state,) = tillpost("connections", "--json").json["connections"]
        assert (state["platform"], state["healthy"]) == ("kounta", True)


def test_secrets_never_come_from_the_command_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tillpost: Command
) -> None:
    with serve_in_thread(GenericSimulator()) as pos:
        settings = pos.settings
        monkeypatch.setenv("POS_KEY", settings["signing_key"])
        base = (
            "connect",
            "generic",
            "--name",
            "corner",
            "--set",
            f"base_url={pos.url}",
            "--set",
            "allow_private=true",
        )
        refused = tillpost(*base, "--set", "signing_key=clear", input="token\n")
        assert (
            "signing_key is a secret, and other users can see this command line"
            in refused.error_line
        )
        result = tillpost(
            *base,
            "--set",
            "signing_key=env:POS_KEY",
            "--access-token-stdin",
            input=settings["access_token"] + "\n",
        )
        assert result.code == 0, result.err
        assert settings["access_token"].encode() not in on_disk(folder)
        again = tillpost(*base, "--access-token-stdin", input="x\n")
        assert (
            again.error_line
            == "the connection 'corner' already exists; to reconnect it: tillpost reconnect corner"
        )


@pytest.mark.parametrize("platform", ["square", "kounta", "generic"])
@pytest.mark.parametrize("ending", ["", "?", "/#", "@127.0.0.2"])
def test_connect_sends_no_token_over_plain_http(
    folder: Path, tillpost: Command, platform: str, ending: str
) -> None:
    with socket.create_server(("127.0.0.2", 0)) as stranger:
        stranger.settimeout(0.1)
        address = f"http://127.0.0.2:{stranger.getsockname()[1]}{ending}"
        result = tillpost(
            "connect", platform, "--name", "cafe-42", "--access-token-stdin",
            "--set", f"base_url={address}", input="CANARY-token\n",
        )  # fmt: skip
        assert result.code == 2
        assert "base_url: must" in result.error_line
        with pytest.raises(TimeoutError):
            stranger.accept()


def test_connect_without_encryption_key_asks_nothing(
    square: Running[SquareSimulator], monkeypatch: pytest.MonkeyPatch, tillpost: Command
) -> None:
    monkeypatch.delenv("TILLPOST_KEY")
    result = tillpost("connect", "square", "--name", "cafe-42", *application(square, monkeypatch))
    assert result.error_line == (
        "TILLPOST_KEY isn't set: set it to the key of this outbox; if there never was one, make it "
        "with `tillpost key new`, and keep it safe"
    )


def test_missing_setting_lists_its_choices(
    square: Running[SquareSimulator], monkeypatch: pytest.MonkeyPatch, tillpost: Command
) -> None:
    options = ("--set", f"base_url={square.url}", "--access-token-stdin")
    token = square.settings["access_token"]
    result = tillpost("connect", "square", "--name", "cafe-42", *options, input=f"{token}\n")
    assert result.code == 2
    assert (
        "location_id is missing: --set location_id=...; "
        "choose one of: L-CAFE (Cafe), L-KIOSK (Kiosk)" in result.err
    )


# Reconnecting


def test_reconnect_by_token_resumes_paused_orders(
    store: Running[SquareSimulator], lunch: str, folder: Path, tillpost: Command
) -> None:
    good = store.settings["access_token"]
    write_config(cafe={**store.settings, "access_token": "expired"})
    with Outbox.from_config() as outbox:
        outbox.add(Order.model_validate_json(Path(lunch).read_bytes()), connection="cafe")
        with Processor(outbox) as processor:
            Worker(processor).run(until_idle=True)
    listed = tillpost("connections")
    assert listed.code == 1
    assert "must be reconnected since" in listed.out
    assert "tillpost reconnect cafe" in listed.out

    result = tillpost("reconnect", "cafe", "--access-token-stdin", "--by", "Ari", input=good + "\n")
    assert result.code == 0, result.err
    assert "Its paused orders resume automatically." in result.out

    with Outbox.from_config() as outbox, Processor(outbox) as processor:
        Worker(processor).run(until_idle=True)
    assert len(store.simulator.ledger().shown) == 1
    (state,) = tillpost("connections", "--json").json["connections"]
    assert (state["defined_in"], state["granted_by"], state["healthy"]) == ("both", "Ari", True)
    assert good.encode() not in (folder / "tillpost.db").read_bytes()


def test_reconnect_with_bad_token_keeps_the_old_one(
    store: Running[SquareSimulator], tillpost: Command
) -> None:
    result = tillpost("reconnect", "cafe", "--access-token-stdin", input="not-the-token\n")
    assert result.code == 14
    assert "The store can't be connected" in result.out
    (state,) = tillpost("connections", "--json").json["connections"]
    assert state["defined_in"] == "file"


def test_reconnect_takes_no_setting_that_cannot_be_verified(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tillpost: Command
) -> None:
    """A writer to the database can't direct the next grant to an address of theirs."""
    with serve_in_thread(GenericSimulator()) as pos, serve_in_thread(GenericSimulator()) as thief:
        token = str(pos.settings["access_token"])
        monkeypatch.setenv("POS_KEY", str(pos.settings["signing_key"]))
        settings = (f"base_url={pos.url}", "allow_private=true", "signing_key=env:POS_KEY")
        options = [part for setting in settings for part in ("--set", setting)]
        options += ["--access-token-stdin", "--by", "Mia"]
        connected = tillpost("connect", "generic", "--name", "corner", *options, input=token)
        assert connected.code == 0, connected.err
        with closing(sqlite3.connect(folder / "tillpost.db")) as database, database:
            database.execute(
                "UPDATE tillpost_credentials SET settings = replace(settings, ?, ?)",
                (pos.url, thief.url),
            )

        refused = tillpost("reconnect", "corner", "--access-token-stdin", input=token)
        assert refused.code == 2
        assert "settings in the database were changed by something else" in refused.err
        assert "base_url: must be an https address" in refused.err
        assert thief.simulator.requests == ()

        assert tillpost("reconnect", "corner", *options, input=token).code == 0
        assert tillpost("connections").code == 0


# Disconnecting and keys


def test_disconnect_revokes_and_deletes_tokens(
    square: Running[SquareSimulator], monkeypatch: pytest.MonkeyPatch, tillpost: Command
) -> None:
    code = square.simulator.new_authorisation_code()
    options = application(square, monkeypatch)
    arguments = (
        "connect",
        "square",
        "--name",
        "cafe-42",
        "--redirect-uri",
        "https://shop.example/back",
        *options,
    )
    assert tillpost(*arguments, "--no-browser", input=f"{code}\nL-CAFE\n").code == 0
    result = tillpost("disconnect", "cafe-42", "--json")
    assert result.json == {"ok": True, "connection": "cafe-42", "revoked": True}
    assert all(token.revoked for token in square.simulator.world.tokens.values())
    assert tillpost("connections", "--json").json["connections"] == []


def test_disconnect_refuses_a_connection_of_the_file(
    store: Running[SquareSimulator], tillpost: Command
) -> None:
    tillpost("connections")
    assert tillpost("disconnect", "cafe").error_line.startswith("cafe is only in the TOML file")


def test_key_new_and_rotate(
    store: Running[SquareSimulator], key: str, monkeypatch: pytest.MonkeyPatch, tillpost: Command
) -> None:
    token = store.settings["access_token"]
    assert tillpost("reconnect", "cafe", "--access-token-stdin", input=token + "\n").code == 0
    fresh = tillpost("key", "new").out.strip()
    monkeypatch.setenv("TILLPOST_KEY", f"{fresh},{key}")
    assert tillpost("key", "rotate", "--json").json == {"ok": True, "sealed": 1, "unreadable": []}
    monkeypatch.setenv("TILLPOST_KEY", fresh)
    assert tillpost("connections", "--json").json["ok"]
    monkeypatch.setenv("TILLPOST_KEY", key)
    wrong = tillpost("connections", "--json").json["connections"][0]
    assert "isn't the key that the tokens in the database were encrypted with" in wrong["fault"]


def test_key_rotation_names_the_stores_that_it_cannot_read(
    store: Running[SquareSimulator], key: str, monkeypatch: pytest.MonkeyPatch, tillpost: Command
) -> None:
    token = store.settings["access_token"]
    assert tillpost("reconnect", "cafe", "--access-token-stdin", input=token + "\n").code == 0
    monkeypatch.setenv("TILLPOST_KEY", tillpost("key", "new").out.strip())
    result = tillpost("key", "rotate")
    assert result.code == 1
    assert result.out == ""
    assert result.err == (
        "tillpost: re-encrypted: 0 connections. The tokens of cafe can't be read: keep the other"
        " keys and set the right one, or run `tillpost reconnect` for each\n"
    )
    result = tillpost("key", "rotate", "--json")
    assert (result.code, result.err) == (1, "")
    assert result.json == {"ok": False, "sealed": 0, "unreadable": ["cafe"]}


# Commands that use a connection without the outbox

COMMANDS = {
    "check": ("check",),
    "submit": ("submit", "{lunch}"),
    "menu import": ("menu", "import"),
    "menu check": ("menu", "check", "{lunch}"),
    "test-order": ("test-order", "--seconds", "0"),
    "add": ("outbox", "add", "{lunch}"),
}


def connect_in_database(
    tillpost: Command, running: Running[SquareSimulator], *more: str, name: str = "cafe"
) -> None:
    """Connect a store by its token, so that only the database has it."""
    named = [f"base_url={running.url}", f"location_id={running.settings['location_id']}", *more]
    options = [option for setting in named for option in ("--set", setting)]
    token = str(running.settings["access_token"])
    result = tillpost(
        "connect",
        "square",
        "--name",
        name,
        *options,
        "--access-token-stdin",
        "--by",
        "Mia",
        input=token,
    )
    assert result.code == 0, result.err


@pytest.mark.parametrize("command", COMMANDS)
def test_stored_connection_works_in_every_command(
    command: str, tillpost: Command, square: Running[SquareSimulator], lunch: str
) -> None:
    connect_in_database(tillpost, square)
    result = tillpost(*(word.format(lunch=lunch) for word in COMMANDS[command]))
    assert result.code == 0, result.err


@pytest.mark.parametrize("command", COMMANDS)
def test_stored_connection_is_found_by_the_db_option(
    command: str, tillpost: Command, square: Running[SquareSimulator], lunch: str, folder: Path
) -> None:
    connect_in_database(tillpost, square)
    (folder / "tillpost.db").rename(folder / "elsewhere.db")
    words = [word.format(lunch=lunch) for word in COMMANDS[command]]
    assert tillpost(*words).code == 2
    result = tillpost(
        *words, "--db", f"sqlite:///{folder / 'elsewhere.db'}", "--connection", "cafe"
    )
    assert result.code == 0, result.err


def test_order_check_sees_stored_connections_without_a_key(
    tillpost: Command,
    square: Running[SquareSimulator],
    lunch: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connect_in_database(tillpost, square)
    monkeypatch.delenv("TILLPOST_KEY")
    seen = square.simulator.requests
    assert "cafe (Square): would be sent" in tillpost("order", "check", lunch).out
    write_config(bar={"location_id": "L1", "access_token": "env:NO_SUCH_TOKEN"})
    facts = tillpost("order", "check", lunch, "--json").json
    assert [each["connection"] for each in facts["connections"]] == ["bar", "cafe"]
    unknown = tillpost("order", "check", lunch, "-c", "pub").error_line
    assert unknown == ("no connection 'pub'; tillpost.toml has: bar; the database has: cafe")
    (folder / "tillpost.db").rename(folder / "elsewhere.db")
    assert "cafe" not in tillpost("order", "check", lunch).out
    elsewhere = f"sqlite:///{folder / 'elsewhere.db'}"
    assert (
        "cafe (Square): would be sent" in tillpost("order", "check", lunch, "--db", elsewhere).out
    )
    assert square.simulator.requests == seen


def test_order_check_takes_the_files_settings_before_stored_ones(
    tillpost: Command, square: Running[SquareSimulator], lunch: str
) -> None:
    connect_in_database(tillpost, square, "currency=AUD")
    write_config(cafe={"currency": "NZD"})
    told = " ".join(tillpost("order", "check", lunch).out.split())
    assert "the order is in AUD, the connection is set to NZD" in told
    write_config(cafe={"platform": "kounta", "company_id": "1"})
    told = " ".join(tillpost("order", "check", lunch).out.split())
    assert "it is at kounta, but was connected at square" in told


def test_order_check_names_a_stored_row_that_cannot_be_read(
    tillpost: Command, square: Running[SquareSimulator], lunch: str, folder: Path
) -> None:
    connect_in_database(tillpost, square)
    with closing(sqlite3.connect(folder / "tillpost.db")) as database, database:
        database.execute("UPDATE tillpost_credentials SET settings = '{'")
    result = tillpost("order", "check", lunch)
    assert result.code == 2
    assert "its row in the database can't be read (settings)" in " ".join(result.out.split())


def test_ambiguous_connection_lists_file_and_database(
    tillpost: Command, square: Running[SquareSimulator]
) -> None:
    connect_in_database(tillpost, square)
    write_config(bar=square.settings)
    assert "tillpost.toml has: bar; the database has: cafe" in tillpost("check").error_line
    assert (
        "tillpost.toml has: bar; the database has: cafe"
        in tillpost("check", "-c", "pub").error_line
    )
    assert tillpost("check", "-c", "bar").code == tillpost("check", "-c", "cafe").code == 0


def test_stored_token_takes_precedence_over_the_file(
    tillpost: Command, square: Running[SquareSimulator]
) -> None:
    write_config(cafe={**square.settings, "access_token": "revoked-long-ago"})
    assert tillpost("check").code != 0
    token = str(square.settings["access_token"])
    assert (
        tillpost("reconnect", "cafe", "--access-token-stdin", "--by", "Mia", input=token).code == 0
    )
    assert tillpost("check").code == 0


@pytest.mark.parametrize("command", ["check", "submit", "menu import"])
@pytest.mark.parametrize("named", [False, True], ids=["by default", "in the file"])
def test_lookup_of_a_connection_creates_no_database(
    command: str,
    named: bool,
    tillpost: Command,
    square: Running[SquareSimulator],
    lunch: str,
    folder: Path,
) -> None:
    write_config(cafe=square.settings)
    if named:
        config = folder / "tillpost.toml"
        config.write_text('[outbox]\ndb = "sqlite:///orders.db"\n' + config.read_text())
    assert tillpost(*(word.format(lunch=lunch) for word in COMMANDS[command])).code == 0
    assert list(folder.glob("*.db")) == []


def test_foreign_database_is_left_unchanged(
    tillpost: Command, square: Running[SquareSimulator], folder: Path
) -> None:
    write_config(cafe=square.settings)
    with sqlite3.connect(folder / "shop.db") as shop_db:
        shop_db.execute("CREATE TABLE carts (id INTEGER)")
    assert tillpost("check", "--db", f"sqlite:///{folder / 'shop.db'}").code == 0
    with sqlite3.connect(folder / "shop.db") as shop_db:
        assert [row[0] for row in shop_db.execute("SELECT name FROM sqlite_master")] == ["carts"]


@pytest.mark.parametrize("command", ["status", "orders list", "outbox prune --days 90"])
def test_foreign_database_gets_no_tables(tillpost: Command, folder: Path, command: str) -> None:
    with sqlite3.connect(folder / "shop.db") as shop_db:
        shop_db.execute("CREATE TABLE carts (id INTEGER)")
    result = tillpost(*command.split(), "--db", f"sqlite:///{folder / 'shop.db'}")
    assert (result.code, result.out) == (3, "")
    assert "no outbox in sqlite:///" in result.err
    with sqlite3.connect(folder / "shop.db") as shop_db:
        assert [row[0] for row in shop_db.execute("SELECT name FROM sqlite_master")] == ["carts"]


def test_db_option_requires_an_existing_database(
    tillpost: Command, square: Running[SquareSimulator], folder: Path
) -> None:
    write_config(cafe=square.settings)
    result = tillpost("check", "--db", f"sqlite:///{folder / 'nowhere.db'}")
    assert result.code != 0
    assert "no outbox at" in result.err


def test_token_renewed_by_a_command_is_stored(
    tillpost: Command, square: Running[SquareSimulator], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = square.simulator.settings
    monkeypatch.setenv("SQUARE_REFRESH", world.refresh_token)
    monkeypatch.setenv("SQUARE_SECRET", world.client_secret)
    client = [
        f"client_id={world.client_id}",
        "client_secret=env:SQUARE_SECRET",
        "refresh_token=env:SQUARE_REFRESH",
    ]
    connect_in_database(tillpost, square, *client)
    square.simulator.expire_token()
    before = square.simulator.count("POST", "/oauth2/token")
    assert tillpost("menu", "import").code == 0
    assert tillpost("check").code == 0
    assert square.simulator.count("POST", "/oauth2/token") == before + 1
    with Outbox("sqlite:///tillpost.db") as outbox, outbox.database.reading() as db:
        assert db.execute(text("SELECT count(*) FROM tillpost_workers")).scalar() == 0
        assert db.execute(text("SELECT refresher FROM tillpost_credentials")).scalar() is None
