"""The TOML file: connections, the environment, and one line for whatever is wrong."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from core.canaries import ACCESS, CLIENT, leaks
from tillpost import ConfigError, Outbox, Policy, Till
from tillpost.config import ConnectionSettings, config_path, load_connections, load_table
from tillpost.errors import UnreadableConfigError

CANARY = "canary-token-4711"

TWO = f"""
[outbox]
url = "sqlite:///orders.db"

[connections.cafe-42]
platform = "square"
location_id = "L1"
access_token = "{CANARY}"
look_after = ["env:LOOK", 3]

[connections.cafe-42.policy]
prices = "keep_paid"
retries = "env:RETRIES"

[connections.kiosk]
platform = "square"
access_token = "env:KIOSK_TOKEN"
"""


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TILLPOST_CONFIG", raising=False)
    return tmp_path / "tillpost.toml"


def loaded(file: Path, text: str = TWO) -> dict[str, ConnectionSettings]:
    file.write_text(text)
    return dict(load_connections(file))


def wrong(text: str) -> str:
    """The text is one line, and names no secret."""
    assert "\n" not in text
    assert CANARY not in text
    return text


def test_connection_has_platform_settings_and_policy(
    write: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOK", "1")
    monkeypatch.setenv("RETRIES", "2")
    cafe = loaded(write)["cafe-42"]
    assert cafe.platform == "square"
    assert cafe.settings == {"location_id": "L1", "access_token": CANARY, "look_after": ["1", 3]}
    assert cafe.policy == Policy(prices="keep_paid", retries=2)


def test_connection_without_policy_has_the_default(write: Path) -> None:
    assert loaded(write)["kiosk"].policy == Policy()


def test_missing_variable_fails_only_its_connection(
    write: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KIOSK_TOKEN", raising=False)
    connections = loaded(write)
    assert connections["cafe-42"].platform == "square"
    with pytest.raises(ConfigError) as caught:
        _ = connections["kiosk"].settings
    assert "access_token is read from the environment, but KIOSK_TOKEN isn't set" in wrong(
        str(caught.value)
    )
    monkeypatch.setenv("KIOSK_TOKEN", "t")
    assert connections["kiosk"].settings == {"access_token": "t"}


def test_repr_and_str_show_no_setting(write: Path) -> None:
    cafe = loaded(write)["cafe-42"]
    assert CANARY not in f"{cafe!r} {cafe}"
    assert "cafe-42" in repr(cafe)
    pickled = pickle.dumps(cafe)
    assert CANARY.encode() not in pickled
    assert pickle.loads(pickled) == cafe


def test_path_argument_beats_environment_and_default(
    write: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert config_path() == Path("tillpost.toml")
    monkeypatch.setenv("TILLPOST_CONFIG", "elsewhere.toml")
    assert config_path() == Path("elsewhere.toml")
    assert config_path("here.toml") == Path("here.toml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("connections = 3", "there is no [connections.NAME] table"),
        (
            "[connection.cafe]\nplatform='square'",
            "no table is called [connection]; did you mean 'connections'?",
        ),
        ("[outbx]\n[connections.cafe]", "no table is called [outbx]; did you mean 'outbox'?"),
        (
            "[shop]\n[connections.cafe]",
            "no table is called [shop]; there are: connections, outbox, tool",
        ),
        (f"['{CANARY[:3]}\\n']\n[connections.cafe]", "no table is called [can"),
        ("platform = 'square'", "no table is called [platform]; there are: "),
        (
            "[connections.cafe]\n[connections.cafe.polcy]",
            "no table is called [connections.cafe.polcy]; did you mean [connections.cafe.policy]?",
        ),
        ("[connections]", "there is no [connections.NAME] table"),
        ("[connections]\ncafe = 'square'", "connections.cafe must be a table"),
        ("[connections.cafe\n", "not TOML"),
        (f"access_token = '{CANARY}", "not TOML"),
        ("\x00", "not TOML"),
    ],
)
def test_wrong_file_is_refused_in_one_line(write: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(write, text)
    assert message in wrong(str(caught.value))
    assert str(write) in str(caught.value)


def test_file_that_is_not_utf8_is_refused_in_one_line(write: Path) -> None:
    write.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not TOML"):
        load_connections()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("access_token = 'x'", "platform is missing"),
        ("platform = 3", "platform is missing"),
        ("platform = ''", "platform is missing"),
        ("platform = 'square'\npolicy = 'kind'", "policy: "),
        ("platform = 'square'\npolicy = {retries = -1}", "policy: retries: "),
        (
            "platform = 'square'\npolicy = {retrys = 1}",
            "policy: retrys: isn't a field of it (did you mean 'retries'?)",
        ),
        ("platform = 'env:'", "a variable isn't set"),
    ],
)
def test_wrong_table_is_refused_in_one_line_that_names_it(
    write: Path, table: str, message: str
) -> None:
    cafe = loaded(write, f"[connections.cafe]\n{table}")["cafe"]
    with pytest.raises(ConfigError) as caught:
        _ = (cafe.platform, cafe.settings, cafe.policy)
    assert message in wrong(str(caught.value))
    assert "[connections.cafe]" in str(caught.value)


def test_misspelt_table_fails_its_connection_alone(write: Path) -> None:
    write.write_text(f"{TWO}\n[connections.bar.polcy]\nretries = 1\n")
    connections = load_connections(needed=False)
    assert connections["cafe-42"].platform == "square"
    with pytest.raises(ConfigError, match=r"\[connections\.bar\.polcy\]; did you mean"):
        _ = connections["bar"].platform


def test_outbox_of_a_file_with_an_unknown_table_is_refused(write: Path) -> None:
    write.write_text(f"[conections.bar]\n{TWO}")
    with pytest.raises(UnreadableConfigError) as refused:
        Outbox.from_config()
    assert str(refused.value) == (
        "tillpost.toml: no table is called [conections]; did you mean 'connections'?"
    )


def test_tables_of_other_programs_are_kept_under_tool(write: Path) -> None:
    write.write_text(f"{TWO}\n[tool.shop]\nname = 'Mia'\n")
    assert set(load_connections()) == {"cafe-42", "kiosk"}
    assert load_table("tool", write) == {"shop": {"name": "Mia"}}


@pytest.mark.parametrize(
    ("setting", "line"),
    [
        ("acess_token", "square: acess_token: isn't a field of it (did you mean 'access_token'?)"),
        ("polcy", "square: polcy: isn't a field of it (did you mean 'policy'?)"),
        ("colour", "square: colour: isn't a field of it"),
    ],
)
def test_misspelt_setting_is_refused_with_the_nearest(setting: str, line: str) -> None:
    settings: dict[str, Any] = {setting: CANARY}
    with pytest.raises(ConfigError) as refused:
        Till.connect("square", location_id="L1", access_token="t", **settings)
    assert str(refused.value) == line


def test_missing_file_is_named(write: Path) -> None:
    with pytest.raises(ConfigError, match=r"^tillpost\.toml: No such file or directory"):
        load_connections()
    with pytest.raises(ConfigError, match="directory"):
        load_connections(write.parent)


def test_byte_order_mark_is_ignored(write: Path) -> None:
    write.write_bytes(b"\xef\xbb\xbf" + TWO.encode())
    assert set(load_connections(write)) == {"cafe-42", "kiosk"}


SECRETIVE = f"""
[outbox]
db = "postgresql://me:{ACCESS}@db.example/orders"
{{outbox}}

[connections.cafe]
platform = "square"
access_token = "{ACCESS}"
client_secret = "env:CLIENT"
{{setting}}

[connections.cafe.policy]
prices = "keep_paid"
{{policy}}
"""


@pytest.mark.parametrize(
    "wrong",
    [
        {"setting": 'webhook_secret = "env:MISSING"'},
        {"setting": 'webhook_secret = {a = ["env:MISSING"]}'},
        {"setting": "policies = }"},
        {"setting": 'location_id = ""'},
        {"setting": "locaton_id = 1"},
        {"policy": 'retries = "env:CLIENT"'},
        {"policy": 'retry_seconds = "env:MISSING"'},
        {"outbox": 'engine = "env:MISSING"'},
        {"outbox": "lease = -1"},
        {"setting": 'outbox = {retries = "env:CLIENT"}'},
        {"setting": 'outbox = "env:CLIENT"'},
        {"setting": "", "outbox": "[connections]\nkiosk = 3"},
    ],
    ids=str,
)
def test_wrong_setting_leaves_no_secret_in_a_traceback(
    write: Path, monkeypatch: pytest.MonkeyPatch, wrong: dict[str, str]
) -> None:
    monkeypatch.setenv("CLIENT", CLIENT)
    monkeypatch.delenv("TILLPOST_DB", raising=False)
    parts = {"setting": 'location_id = "L1"', "policy": "", "outbox": ""} | wrong
    write.write_text(SECRETIVE.format(**parts))

    def open_both() -> None:
        Till.from_config("cafe").close()
        Outbox.from_config().close()

    with pytest.raises(ConfigError) as caught:
        open_both()
    assert leaks(caught.value) == []
