"""Plugins are found as they are installed; a failing one affects only itself."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Generator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from core.both import Kind, connected
from core.conftest import QUICK, Opening
from core.plugins.installing import Install
from core.poison_plugin import Poison
from core.toy import ToyItem, lost_order, toy_menu, toy_order
from core.toy_server import ToyServer, refuse
from tillpost import (
    AsyncTill,
    ConfigError,
    Menu,
    MenuError,
    Order,
    PosError,
    PosOrder,
    Till,
    hookimpl,
)
from tillpost.menus.diff import MenuChanges
from tillpost.outbox import Outbox, OutboxConnection, Processor
from tillpost.plugins.manager import (
    MOST_MANAGERS,
    Hooks,
    adapter_named,
    adapters,
    broken,
)
from tillpost.submission.context import Connection

ADAPTER = """
import tillpost
from tests.core.toy import Toy

class Bistro(Toy):
    platform = "bistro"
    title = "Bistro"

@tillpost.hookimpl
def tillpost_adapters():
    return [Bistro]
"""

# Finding


def test_third_party_adapter_is_found_like_bundled_ones(
    install: Install, server: ToyServer, kind: Kind
) -> None:
    install("bistro", ADAPTER, package="tillpost-bistro")
    found = adapters()
    assert (found["bistro"].package, found["bistro"].version) == ("tillpost-bistro", "1.2")
    assert found["square"].package == "tillpost"
    till = connected(
        kind, "bistro", base_url=server.url, access_token="toy-access-token-1", policy=QUICK
    )
    assert till.submit(toy_order()).id == "o1"
    assert till.till.platform == "bistro"
    assert "cancel" in till.till.capabilities
    till.close()


def test_an_unknown_platform_lists_those_installed_in_one_line(install: Install) -> None:
    install("bistro", ADAPTER)
    with pytest.raises(ConfigError) as caught:
        Till.connect("sqaure")
    text = str(caught.value)
    assert text.startswith("no adapter for 'sqaure'; installed: bistro, ")
    assert "square" in text
    assert "\n" not in text


@pytest.mark.parametrize(
    ("source", "why"),
    [
        (
            "import no_such_module_at_all",
            "ModuleNotFoundError: No module named 'no_such_module_at_all'",
        ),
        ("raise RuntimeError('two\\nlines')", "RuntimeError: two lines"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("def (", "SyntaxError: "),
        (
            "import tillpost\n@tillpost.hookimpl\ndef order_submitted(no_such_argument): pass",
            "PluginValidationError: Plugin 'broken'",
        ),
        (
            "import tillpost\n@tillpost.hookimpl\ndef order_submited(): pass",
            "ValueError: broken: no hook is called 'order_submited'; did you mean "
            "'order_submitted'?",
        ),
    ],
)
def test_unloadable_plugin_is_reported_and_others_load(
    install: Install, caplog: pytest.LogCaptureFixture, source: str, why: str
) -> None:
    install("broken", source)
    install("bistro", ADAPTER)
    assert {"bistro", "square"} <= set(adapters())
    assert broken()["broken"].startswith(why)
    assert "\n" not in broken()["broken"]
    (record,) = [record for record in caplog.records if record.name == "tillpost"]
    assert record.getMessage().startswith("plugin 'broken' (plugin_broken) can't be loaded: " + why)
    with pytest.raises(ConfigError, match=r"; plugins that can't be loaded: broken$"):
        adapter_named("nowhere")


def test_plugin_with_a_misspelt_hook_is_left_out_whole(install: Install) -> None:
    install("bistro", f"{ADAPTER}\n@tillpost.hookimpl\ndef order_submited(): pass\n")
    assert "bistro" not in adapters()
    assert list(broken()) == ["bistro"]


def test_hook_of_a_newer_version_may_be_marked_optional(install: Install) -> None:
    optional = "@tillpost.hookimpl(optionalhook=True)\ndef order_reheated(): pass\n"
    install("bistro", f"{ADAPTER}\n{optional}")
    assert "bistro" in adapters()
    assert not broken()


class Misspelt:
    """Has a hook that nobody calls."""

    @hookimpl
    def order_submitted(self) -> None: ...

    @hookimpl
    def order_recieved(self) -> None: ...


@pytest.mark.parametrize("till", [Till, AsyncTill])
def test_given_plugin_with_a_misspelt_hook_is_refused(till: type[Till | AsyncTill]) -> None:
    for _ in range(2):
        with pytest.raises(ConfigError) as refused:
            till.connect("square", location_id="L1", access_token="t", hooks=[Misspelt()])
        assert str(refused.value) == (
            "hooks: Misspelt: no hook is called 'order_recieved'; did you mean 'order_rejected'?"
        )


class Unmarked:
    """Has a hook that isn't marked."""

    def order_failed(self) -> None: ...


@pytest.mark.parametrize("hooks", [Unmarked(), Unmarked])
def test_given_plugin_with_an_unmarked_hook_is_refused(hooks: object) -> None:
    with pytest.raises(ConfigError) as refused:
        Till.connect("square", location_id="L1", access_token="t", hooks=[hooks])
    assert str(refused.value) == (
        "hooks: Unmarked: order_failed isn't marked with @tillpost.hookimpl"
    )


def test_outbox_connection_refuses_hooks_when_it_is_made() -> None:
    settings = {"location_id": "L1", "access_token": "t"}
    for hooks, fault in [(Misspelt(), "order_recieved"), (Unmarked(), "isn't marked")]:
        with pytest.raises(ConfigError, match=fault):
            OutboxConnection.of("square", settings, hooks=[hooks])
    wrong: Any = Misspelt()
    with pytest.raises(TypeError, match=r"^hooks must be a list of objects, not Misspelt$"):
        OutboxConnection.of("square", settings, hooks=wrong)
    client: Any = "https://proxy.example"
    with pytest.raises(TypeError, match=r"^http_client must be a Client, not str$"):
        OutboxConnection.of("square", settings, http_client=client)


def test_worker_and_receiver_refuse_a_misspelt_hook_when_they_are_made(tmp_path: Path) -> None:
    with Outbox(f"sqlite:///{tmp_path / 'orders.db'}") as outbox:
        made: list[Callable[..., object]] = [partial(Processor, outbox), outbox.receiver]
        for make in made:
            with pytest.raises(ConfigError, match="no hook is called 'order_recieved'"):
                make(hooks=[Misspelt()])
            with pytest.raises(TypeError):
                make(hooks=Misspelt())


def test_a_damaged_installation_is_reported_by_its_module(
    install: Install, caplog: pytest.LogCaptureFixture
) -> None:
    install("broken", "raise ValueError", metadata=False)
    assert "square" in adapters()
    assert "plugin 'broken' (plugin_broken) can't be loaded" in caplog.text


@pytest.mark.parametrize(
    "body", ["raise ValueError('no')", "return None", "return 7", "return ['bistro']"]
)
def test_plugin_failing_to_provide_adapters_stops_no_other(
    install: Install, caplog: pytest.LogCaptureFixture, body: str
) -> None:
    install("broken", f"import tillpost\n@tillpost.hookimpl\ndef tillpost_adapters():\n    {body}")
    install("bistro", ADAPTER)
    assert {"bistro", "square"} <= set(adapters())
    assert "plugin 'broken' failed to provide its adapters" in caplog.text


def test_first_plugin_by_name_provides_the_platform(
    install: Install, caplog: pytest.LogCaptureFixture
) -> None:
    install("bistro", ADAPTER)
    install("another", ADAPTER)
    assert adapters()["bistro"].package == "plugin_another"
    assert "plugin 'bistro' provides 'bistro', which plugin_another provides already" in caplog.text


def test_of_two_plugins_of_one_name_the_second_is_reported(install: Install) -> None:
    install("bistro", ADAPTER)
    install("bistro", ADAPTER, package="other")
    assert adapters()["bistro"].version == "1.2"
    assert "has that name already" in broken()["bistro"]


def test_removed_plugin_stays_until_program_ends(install: Install, tmp_path: Path) -> None:
    install("bistro", ADAPTER)
    assert "bistro" in adapters()
    (tmp_path / "plugin_bistro-1.2.dist-info" / "entry_points.txt").unlink()
    assert "bistro" in adapters()


@pytest.mark.parametrize("connect", [Till.connect, AsyncTill.connect])
def test_wrong_setting_is_named_without_its_value(
    install: Install, connect: Callable[..., object]
) -> None:
    install("bistro", ADAPTER)
    with pytest.raises(ConfigError) as caught:
        connect("bistro", base_url="https://pos.example", acess_token="CANARY-secret")
    assert str(caught.value) == (
        "bistro: acess_token: isn't a field of it (did you mean 'access_token'?)"
    )
    with pytest.raises(ConfigError, match=r"^bistro: base_url: must be an https address$"):
        connect("bistro", base_url="CANARY", access_token="CANARY-secret")


# Calling hooks


class Listener:
    """Notes its calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Mapping[str, object]]] = []

    @hookimpl
    def order_submitted(self, connection: str, order: Order, pos_order: PosOrder) -> None:
        self.calls.append(
            ("order_submitted", {"connection": connection, "order": order, "pos_order": pos_order})
        )

    @hookimpl
    def order_failed(self, error: PosError) -> None:
        self.calls.append(("order_failed", {"error": error}))

    @hookimpl
    def menu_error(self, error: PosError) -> None:
        self.calls.append(("menu_error", {"error": error}))

    @hookimpl
    def menu_imported(self, menu: Menu, changes: MenuChanges) -> None:
        self.calls.append(("menu_imported", {"menu": menu, "changes": changes}))

    @hookimpl
    def reauthorisation_needed(self, connection: str) -> None:
        self.calls.append(("reauthorisation_needed", {"connection": connection}))


class AsyncListener:
    """Notes its calls, after a while."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    @hookimpl
    async def order_submitted(self, order: Order) -> None:
        await asyncio.sleep(0.001)
        self.calls.append(order.id)


class Failing:
    """Fails at every call."""

    @hookimpl
    def order_submitted(self) -> None:
        raise ValueError("a hook's own trouble")

    @hookimpl
    def order_failed(self) -> None:
        raise ValueError("a hook's own trouble")

    @hookimpl
    def menu_error(self) -> None:
        raise ValueError("a hook's own trouble")

    @hookimpl
    def reimport_menu(self) -> None:
        raise ValueError("a hook's own trouble")


def options(*hooks: object, name: str = "cafe-42") -> dict[str, Any]:
    return {"name": name, "policy": QUICK, "hooks": hooks}


def test_hooks_receive_the_arguments_they_name(opening: Opening, server: ToyServer) -> None:
    listener = Listener()
    pos_order = opening(server.adapter(), **options(listener)).submit(toy_order())
    assert listener.calls == [
        ("order_submitted", {"connection": "cafe-42", "order": toy_order(), "pos_order": pos_order})
    ]


def test_a_connection_without_a_name_goes_by_its_platform(
    opening: Opening, server: ToyServer
) -> None:
    listener = Listener()
    opening(server.adapter(), **options(listener, name="")).submit(toy_order())
    assert listener.calls[0][1]["connection"] == "toy"


def test_raising_hook_is_logged_and_others_still_run(
    opening: Opening, server: ToyServer, caplog: pytest.LogCaptureFixture
) -> None:
    before, after = Listener(), Listener()
    till = opening(server.adapter(), **options(before, Failing(), after))
    assert till.submit(toy_order()).id == "o1"
    with pytest.raises(MenuError):
        till.submit(lost_order("ord-2"))
    for listener in (before, after):
        happened = [what for what, _ in listener.calls]
        assert happened == ["order_submitted", "menu_error", "menu_imported", "order_failed"]
    logged = [record for record in caplog.records if record.name == "tillpost"]
    assert [record.getMessage() for record in logged] == [
        f"hook {hook} of plugin 'Failing' failed"
        for hook in ("order_submitted", "menu_error", "reimport_menu", "order_failed")
    ]
    assert all(record.exc_info for record in logged)


class AsyncPoison:
    """A `Poison` whose hooks raise after a while."""

    def __init__(self, failure: type[BaseException]) -> None:
        self.failure = failure

    @hookimpl
    async def order_submitted(self) -> None:
        await asyncio.sleep(0)
        raise self.failure

    @hookimpl
    async def reimport_menu(self) -> None:
        raise self.failure


class Strange(BaseException):
    """What a plugin may make of it."""


@pytest.mark.parametrize("failure", [SystemExit, GeneratorExit, Strange, asyncio.CancelledError])
def test_poisonous_hook_stops_neither_order_nor_others(
    opening: Opening, server: ToyServer, kind: Kind, failure: type[BaseException]
) -> None:
    listener = Listener()
    poison = Poison(failure) if kind == "sync" else AsyncPoison(failure)
    till = opening(server.adapter(), **options(listener, poison))
    assert till.import_menu().menu == toy_menu(server.items)
    assert till.submit(toy_order()).id == "o1"
    assert [what for what, _ in listener.calls] == ["menu_imported", "order_submitted"]


@pytest.mark.parametrize("kind", ["sync"])
def test_interrupt_during_a_hook_is_raised(opening: Opening, server: ToyServer) -> None:
    till = opening(server.adapter(), **options(Poison(KeyboardInterrupt)))
    with pytest.raises(KeyboardInterrupt):
        till.submit(toy_order())


def test_task_that_is_cancelled_during_a_hook_ends(server: ToyServer) -> None:
    class Waiting:
        def __init__(self) -> None:
            self.began = asyncio.Event()

        @hookimpl
        async def order_submitted(self) -> None:
            self.began.set()
            await asyncio.sleep(60)

    async def cancel() -> None:
        waiting = Waiting()
        async with AsyncTill(Connection(server.adapter(), **options(waiting))) as till:
            task = asyncio.create_task(till.submit(toy_order()))
            await waiting.began.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(cancel())


def test_awaiting_coroutine_that_is_closed_during_a_hook_ends() -> None:
    class Waiting:
        @hookimpl
        async def order_submitted(self) -> None:
            await asyncio.Event().wait()

    async def begin() -> Coroutine[Any, Any, object]:
        call = Hooks("cafe-42", [Waiting()]).acall("order_submitted", {})
        call.send(None)
        return call

    asyncio.run(begin()).close()


def test_plugin_hooks_run_beside_given_ones(
    install: Install, opening: Opening, server: ToyServer, caplog: pytest.LogCaptureFixture
) -> None:
    install(
        "alerts",
        "import logging\nimport tillpost\n"
        "@tillpost.hookimpl\n"
        "def order_submitted(order): logging.getLogger('alerts').warning(order.id)",
    )
    listener = Listener()
    opening(server.adapter(), **options(listener)).submit(toy_order())
    assert len(listener.calls) == 1
    assert [record.getMessage() for record in caplog.records if record.name == "alerts"] == [
        "ord-1"
    ]


@pytest.mark.parametrize("kind", ["async"])
def test_an_async_hook_is_awaited_under_async_till(opening: Opening, server: ToyServer) -> None:
    listener = AsyncListener()
    opening(server.adapter(), **options(listener)).submit(toy_order())
    assert listener.calls == ["ord-1"]


@pytest.mark.parametrize("kind", ["sync"])
def test_till_refuses_and_logs_async_hook(
    opening: Opening, server: ToyServer, caplog: pytest.LogCaptureFixture
) -> None:
    listener, plain = AsyncListener(), Listener()
    opening(server.adapter(), **options(plain, listener)).submit(toy_order())
    assert not listener.calls
    assert len(plain.calls) == 1
    assert "an async hook needs AsyncTill" in caplog.text


def test_till_refuses_awaitable_from_hook(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Later:
        def __await__(self) -> Generator[None, None, None]:
            yield

    class Promising:
        @hookimpl
        def order_submitted(self) -> object:
            return Later()

    Hooks("cafe-42", [Promising()]).call("order_submitted", {})
    assert "an async hook needs AsyncTill" in caplog.text


def test_a_wrapper_is_refused_with_a_line_in_the_log(
    opening: Opening, server: ToyServer, caplog: pytest.LogCaptureFixture
) -> None:
    class Wrapping:
        @hookimpl(wrapper=True)
        def order_submitted(self) -> Generator[None, None, None]:
            yield

    opening(server.adapter(), **options(Wrapping())).submit(toy_order())
    assert "it is a wrapper" in caplog.text


@pytest.mark.parametrize("hooks", [[AsyncTill], [Listener(), 7]])
def test_an_object_without_hooks_is_no_harm(server: ToyServer, hooks: list[Any]) -> None:
    assert repr(Till(Connection(server.adapter(), **options(*hooks)))) == "<Till cafe-42>"


def test_hook_with_unknown_argument_is_refused_by_name(server: ToyServer) -> None:
    class Wrong:
        @hookimpl
        def order_submitted(self, odrer: Order) -> None: ...

    with pytest.raises(ConfigError, match=r"^hooks: .*odrer") as caught:
        Till(Connection(server.adapter(), **options(Wrong())))
    assert "\n" not in str(caught.value)


def test_an_object_handed_in_twice_is_named(server: ToyServer) -> None:
    listener = Listener()
    with pytest.raises(ConfigError, match=r"^hooks: "):
        Till(Connection(server.adapter(), **options(listener, listener)))


# The decision


class Importer:
    """An embedder's own importer."""

    def __init__(self, menu: object) -> None:
        self.menu = menu
        self.asked: list[str] = []

    @hookimpl
    def reimport_menu(self, connection: str) -> object:
        self.asked.append(connection)
        return self.menu


class AsyncImporter(Importer):
    """The same, after a while."""

    @hookimpl
    async def reimport_menu(self, connection: str) -> object:
        self.asked.append(connection)
        return self.menu


NEW = toy_menu([ToyItem(id="i2", sku="S1", name="Toast", price=1000)])


class Counting:
    """A plugin that counts how often its hooks are looked for, and how often one is called."""

    def __init__(self) -> None:
        self.searches = 0
        self.calls = 0

    def __dir__(self) -> list[str]:
        self.searches += 1
        return ["connection_restored"]

    @hookimpl
    def connection_restored(self) -> None:
        self.calls += 1


def test_hooks_of_the_same_objects_are_looked_for_once() -> None:
    plugin = Counting()
    for connection in ("cafe-42", "cafe-43"):
        Hooks(connection, [plugin]).call("connection_restored", {})
    assert (plugin.searches, plugin.calls) == (1, 2)


def test_each_of_many_embedded_objects_gets_its_own_call() -> None:
    plugins = [Counting() for _ in range(3 * MOST_MANAGERS)]
    for plugin in plugins:
        Hooks("cafe-42", [plugin]).call("connection_restored", {})
    assert {plugin.calls for plugin in plugins} == {1}


def test_an_embedders_import_replaces_the_adapters(opening: Opening, server: ToyServer) -> None:
    server.items[0].id = "i2"
    importer, second = Importer(NEW), Importer(None)
    till = opening(server.adapter(), **options(importer, second, Failing()))
    assert till.submit(toy_order()).total == 1000
    assert server.count("GET /menu") == 0
    assert till.till.menu == NEW
    assert (importer.asked, second.asked) == (["cafe-42"], ["cafe-42"])


def test_first_menu_from_hook_counts(opening: Opening, server: ToyServer) -> None:
    late, early = Importer(None), Importer(NEW)
    till = opening(server.adapter(), **options(late, early))
    assert till.import_menu().menu == NEW
    assert (early.asked, late.asked) == (["cafe-42"], [])


@pytest.mark.parametrize("kind", ["async"])
def test_an_embedders_import_may_be_async(opening: Opening, server: ToyServer) -> None:
    assert opening(server.adapter(), **options(AsyncImporter(NEW))).import_menu().menu == NEW
    assert server.count("GET /menu") == 0


@pytest.mark.parametrize("menu", [None, {"items": []}, "menu", 0])
def test_hook_result_that_is_no_menu_is_ignored(
    opening: Opening, server: ToyServer, caplog: pytest.LogCaptureFixture, menu: object
) -> None:
    till = opening(server.adapter(), **options(Importer(menu)))
    assert till.import_menu().menu == toy_menu(server.items)
    assert server.count("GET /menu") == 1
    assert ("not a Menu" in caplog.text) == (menu is not None)


def test_lost_permission_calls_reauthorisation_hook(
    opening: Opening, server: ToyServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    listener = Listener()
    server.on("POST /orders", refuse("REVOKED", status=401))
    with pytest.raises(PosError):
        opening(server.adapter(), **options(listener)).submit(toy_order())
    assert [what for what, _ in listener.calls] == ["order_failed", "reauthorisation_needed"]
