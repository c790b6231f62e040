"""Connecting stores from the command line: the provider's page over real HTTP, the code caught or pasted."""

from __future__ import annotations

import json
import os
import re
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
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

COMMAND = [sys.executable, "-c", "from tillpost.cli import main; main()"]


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@pytest.fixture(autouse=True)
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A key."""
    made = new_key()
    monkeypatch.setenv("TILLPOST_KEY", made)
    return made


@pytest.fixture
def square() -> Iterator[Running[SquareSimulator]]:
    """A merchant at Square, whose applications' redirect address is on this machine."""
    settings = WorldSettings(redirect_url=f"http://localhost:{free_port()}/callback")
    with serve_in_thread(SquareSimulator(settings)) as running:
        yield running


def application(running: Running[SquareSimulator], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The options that name the application; its secret is in the environment."""
    app = running.simulator.settings
    monkeypatch.setenv("SQUARE_SECRET", app.client_secret)
    named = [
        f"client_id={app.client_id}",
        "client_secret=env:SQUARE_SECRET",
        f"base_url={running.url}",
    ]
    return [part for one in named for part in ("--set", one)]


def on_disk(folder: Path) -> bytes:
    """All that the folder holds."""
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def secrets_of(running: Running[SquareSimulator]) -> list[bytes]:
    """Everything secret that the provider has given out, or knows of the application."""
    world = running.simulator.world
    tokens = [*world.tokens, *(token.refresh_token for token in world.tokens.values())]
    return [text.encode() for text in (*tokens, running.simulator.settings.client_secret)]


def waiting(options: list[str], url: str) -> tuple[subprocess.Popen[str], str]:
    """Start `tillpost connect` in a process of its own; return it with the provider's page, once it says that."""
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


def test_the_page_opens_in_the_browser_and_the_code_is_caught_on_this_machine(
    square: Running[SquareSimulator],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    tillpost: Command,
) -> None:
    """The browser is a program of its own that follows where it is sent, as the BROWSER variable names one."""
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
    told = json.loads(ran.stdout[ran.stdout.index("{") :])
    assert (told["ok"], told["granted_by"], told["resumed"]) == (True, "Mia Chen", False)
    assert "ORDERS_WRITE" in told["scopes"]
    assert told["expires_at"]
    (state,) = tillpost("connections", "--json").json["connections"]
    assert (state["name"], state["of"], state["healthy"], state["renews"]) == (
        "cafe-42",
        "database",
        True,
        True,
    )
    for secret in secrets_of(square):
        assert secret not in on_disk(folder)
        assert secret not in f"{ran.stdout}{ran.stderr}".encode()


def test_a_code_can_be_pasted_where_the_provider_wants_an_https_address(
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
    ran = tillpost(*arguments, "--no-browser", input=f"{code}\n1\n")
    assert ran.code == 0, ran.err
    assert "cafe-42 is connected." in ran.out
    assert "Simulated Cafe" in ran.out
    page = re.search(r"http://\S+/oauth2/authorize\S+", ran.err)
    assert page is not None
    asked = parse_qs(urlsplit(page.group()).query)
    assert asked["redirect_uri"] == ["https://shop.example/back"]
    assert "code_challenge" in asked
    assert len(asked["state"][0]) >= 24


def test_a_pasted_address_with_another_state_is_refused_and_nothing_is_kept(
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
    ran = tillpost(
        *arguments, "--no-browser", input=f"https://shop.example/back?code={code}&state=planted\n"
    )
    assert ran.code == 2
    assert "doesn't carry the state that went out" in ran.err
    assert tillpost("connections", "--json").json["connections"] == []
    assert square.simulator.count("POST", "/oauth2/token") == 0


def test_a_planted_callback_is_turned_away_and_the_wait_goes_on(
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


def test_nobody_who_agrees_in_time_is_told_in_one_line(
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
    ended = tillpost("connect", "square", "--name", "cafe-42", *options)
    assert ended.code == 2
    assert ended.err.endswith("tillpost: nobody agreed within 1 seconds\n")


def test_an_admin_who_refuses_is_told_in_one_line(
    square: Running[SquareSimulator], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = square.simulator.settings.redirect_url
    running, page = waiting(application(square, monkeypatch), url)
    state = parse_qs(urlsplit(page).query)["state"][0]
    httpx.get(f"{url}?error=access_denied&error_description=Not+today&state={state}")
    _, err = running.communicate(timeout=30)
    assert running.returncode == 2
    assert "tillpost: access wasn't granted: access_denied Not today" in err


def test_kountas_company_site_and_payment_method_are_chosen_from_what_the_token_sees(
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
        ran = tillpost(
            *arguments, *options, input=f"{code}\n{app.site_id}\n{app.payment_method_id}\n"
        )
        assert ran.code == 0, ran.err
        assert str(app.site_id) in ran.out
        (state,) = tillpost("connections", "--json").json["connections"]
        assert (state["platform"], state["healthy"]) == ("kounta", True)


def test_a_generic_pos_is_connected_with_a_token_and_a_key_that_arent_on_the_command_line(
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
        assert "signing_key is a secret, and others see this command line" in refused.complaint
        ran = tillpost(
            *base,
            "--set",
            "signing_key=env:POS_KEY",
            "--access-token-stdin",
            input=settings["access_token"] + "\n",
        )
        assert ran.code == 0, ran.err
        assert settings["access_token"].encode() not in on_disk(folder)
        again = tillpost(*base, "--access-token-stdin", input="x\n")
        assert (
            again.complaint == "there is a connection 'corner' already: tillpost reconnect corner"
        )


def test_without_a_key_nothing_is_asked_and_the_line_says_what_to_do(
    square: Running[SquareSimulator], monkeypatch: pytest.MonkeyPatch, tillpost: Command
) -> None:
    monkeypatch.delenv("TILLPOST_KEY")
    ran = tillpost("connect", "square", "--name", "cafe-42", *application(square, monkeypatch))
    assert ran.complaint == (
        "TILLPOST_KEY isn't set: set it to the key of this outbox; if there never was one, make it with "
        "`tillpost key new`, and keep it safe"
    )


def test_what_is_missing_is_said_with_the_choices_that_there_are(
    square: Running[SquareSimulator], monkeypatch: pytest.MonkeyPatch, tillpost: Command
) -> None:
    options = ("--set", f"base_url={square.url}", "--access-token-stdin")
    token = square.settings["access_token"]
    ran = tillpost("connect", "square", "--name", "cafe-42", *options, input=f"{token}\n")
    assert ran.code == 2
    assert (
        "location_id is missing: --set location_id=...; there are: L-CAFE (Cafe), L-KIOSK (Kiosk)"
        in ran.err
    )


# Reconnecting


def test_a_connection_of_the_file_is_reconnected_by_a_token_and_its_paused_orders_go_on(
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

    ran = tillpost("reconnect", "cafe", "--access-token-stdin", "--by", "Ari", input=good + "\n")
    assert ran.code == 0, ran.err
    assert "Its paused orders go on by themselves." in ran.out

    with Outbox.from_config() as outbox, Processor(outbox) as processor:
        Worker(processor).run(until_idle=True)
    assert len(store.simulator.ledger().shown) == 1
    (state,) = tillpost("connections", "--json").json["connections"]
    assert (state["of"], state["granted_by"], state["healthy"]) == ("both", "Ari", True)
    assert good.encode() not in (folder / "tillpost.db").read_bytes()


def test_a_token_that_doesnt_work_is_refused_and_the_old_one_stays(
    store: Running[SquareSimulator], tillpost: Command
) -> None:
    ran = tillpost("reconnect", "cafe", "--access-token-stdin", input="not-the-token\n")
    assert ran.code == 14
    assert "The store can't be connected" in ran.out
    (state,) = tillpost("connections", "--json").json["connections"]
    assert state["of"] == "file"


# Disconnecting, and keys


def test_disconnecting_revokes_at_the_provider_and_deletes_the_tokens(
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
    ran = tillpost("disconnect", "cafe-42", "--json")
    assert ran.json == {"ok": True, "connection": "cafe-42", "revoked": True}
    assert all(token.revoked for token in square.simulator.world.tokens.values())
    assert tillpost("connections", "--json").json["connections"] == []


def test_what_stands_in_the_file_alone_isnt_disconnected(
    store: Running[SquareSimulator], tillpost: Command
) -> None:
    tillpost("connections")
    assert tillpost("disconnect", "cafe").complaint.startswith("cafe stands in the TOML file alone")


def test_a_key_is_made_and_rotated(
    store: Running[SquareSimulator], key: str, monkeypatch: pytest.MonkeyPatch, tillpost: Command
) -> None:
    token = store.settings["access_token"]
    assert tillpost("reconnect", "cafe", "--access-token-stdin", input=token + "\n").code == 0
    fresh = tillpost("key", "new").out.strip()
    monkeypatch.setenv("TILLPOST_KEY", f"{fresh},{key}")
    assert tillpost("key", "rotate", "--json").json == {"ok": True, "sealed": 1}
    monkeypatch.setenv("TILLPOST_KEY", fresh)
    assert tillpost("connections", "--json").json["ok"]
    monkeypatch.setenv("TILLPOST_KEY", key)
    wrong = tillpost("connections", "--json").json["connections"][0]
    assert "isn't the key that the tokens in the database were sealed with" in wrong["fault"]


# ---------------------------------------------------------------- commands that work on one without
# the outbox

ON_ONE = {
    "check": ("check",),
    "submit": ("submit", "{lunch}"),
    "menu import": ("menu", "import"),
    "menu check": ("menu", "check", "{lunch}"),
    "test-order": ("test-order", "--seconds", "0"),
    "add": ("outbox", "add", "{lunch}"),
}


def connected_in_the_database(
    tillpost: Command, running: Running[SquareSimulator], *more: str, name: str = "cafe"
) -> None:
    """Connect a store by its token: no file knows of it."""
    named = [f"base_url={running.url}", f"location_id={running.settings['location_id']}", *more]
    options = [option for setting in named for option in ("--set", setting)]
    token = str(running.settings["access_token"])
    ended = tillpost(
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
    assert ended.code == 0, ended.err


@pytest.mark.parametrize("command", ON_ONE)
def test_a_connection_that_only_the_database_knows_works_in_every_command(
    command: str, tillpost: Command, square: Running[SquareSimulator], lunch: str
) -> None:
    connected_in_the_database(tillpost, square)
    ended = tillpost(*(word.format(lunch=lunch) for word in ON_ONE[command]))
    assert ended.code == 0, ended.err


@pytest.mark.parametrize("command", ON_ONE)
def test_it_is_found_in_the_database_that_the_option_names(
    command: str, tillpost: Command, square: Running[SquareSimulator], lunch: str, folder: Path
) -> None:
    connected_in_the_database(tillpost, square)
    (folder / "tillpost.db").rename(folder / "elsewhere.db")
    words = [word.format(lunch=lunch) for word in ON_ONE[command]]
    assert tillpost(*words).code == 2
    ended = tillpost(*words, "--db", f"sqlite:///{folder / 'elsewhere.db'}", "--connection", "cafe")
    assert ended.code == 0, ended.err


def test_with_several_connections_all_are_named_and_where_they_are(
    tillpost: Command, square: Running[SquareSimulator]
) -> None:
    connected_in_the_database(tillpost, square)
    write_config(bar=square.settings)
    assert "tillpost.toml has: bar; the database has: cafe" in tillpost("check").complaint
    assert (
        "tillpost.toml has: bar; the database has: cafe" in tillpost("check", "-c", "pub").complaint
    )
    assert tillpost("check", "-c", "bar").code == tillpost("check", "-c", "cafe").code == 0


def test_the_databases_token_wins_over_the_files(
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
def test_no_database_is_made_by_looking_for_one(
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
    assert tillpost(*(word.format(lunch=lunch) for word in ON_ONE[command])).code == 0
    assert list(folder.glob("*.db")) == []


def test_a_database_without_the_outboxs_tables_is_left_as_it_is(
    tillpost: Command, square: Running[SquareSimulator], folder: Path
) -> None:
    write_config(cafe=square.settings)
    with sqlite3.connect(folder / "shop.db") as theirs:
        theirs.execute("CREATE TABLE carts (id INTEGER)")
    assert tillpost("check", "--db", f"sqlite:///{folder / 'shop.db'}").code == 0
    with sqlite3.connect(folder / "shop.db") as theirs:
        assert [row[0] for row in theirs.execute("SELECT name FROM sqlite_master")] == ["carts"]


def test_a_database_that_the_option_names_has_to_be_there(
    tillpost: Command, square: Running[SquareSimulator], folder: Path
) -> None:
    write_config(cafe=square.settings)
    ended = tillpost("check", "--db", f"sqlite:///{folder / 'nowhere.db'}")
    assert ended.code != 0
    assert "no outbox at" in ended.err


def test_a_token_that_a_command_renews_is_kept_for_all_others(
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
    connected_in_the_database(tillpost, square, *client)
    square.simulator.expire_token()
    before = square.simulator.count("POST", "/oauth2/token")
    assert tillpost("menu", "import").code == 0
    assert tillpost("check").code == 0
    assert square.simulator.count("POST", "/oauth2/token") == before + 1
    with Outbox("sqlite:///tillpost.db") as outbox, outbox.database.reading() as db:
        assert db.execute(text("SELECT count(*) FROM tillpost_workers")).scalar() == 0
        assert db.execute(text("SELECT refresher FROM tillpost_credentials")).scalar() is None
