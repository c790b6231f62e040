from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from aiohttp import web

from core.simulator.counter import Counter
from tillpost.simulator import (
    Fault,
    FaultKind,
    FaultPlan,
    FaultRule,
    Running,
    serve,
    serve_in_thread,
)


@pytest.fixture
def running() -> Iterator[Running[Counter]]:
    with serve_in_thread(Counter()) as served:
        yield served


def change(running: Running[Counter], **body: object) -> httpx.Response:
    return httpx.post(f"{running.url}/_simulator/change", json=body)


def test_handler_gets_path_query_and_headers(running: Running[Counter]) -> None:
    answer = httpx.get(f"{running.url}/echo/hi%20you", params={"q": "1"}, headers={"X-Test": "t"})
    assert answer.json() == ["hi you", "1", "t", "/echo/hi%20you?q=1"]


def test_running_has_connection_settings(running: Running[Counter]) -> None:
    assert running.settings == {"base_url": running.url}


def test_unknown_address_gets_the_platforms_answer(running: Running[Counter]) -> None:
    assert httpx.get(f"{running.url}/nowhere").json() == {"failure": 404}
    assert httpx.delete(f"{running.url}/count").json() == {"failure": 405}


def test_failing_handler_gets_500_and_is_logged(
    running: Running[Counter], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, "tillpost.simulator"):
        assert httpx.get(f"{running.url}/broken").status_code == 500
    assert "broken on purpose" in caplog.text


def test_outage_leaves_the_control_address(
    running: Running[Counter],
) -> None:
    running.simulator.out_of_order = True
    assert httpx.post(f"{running.url}/count").status_code == 503
    assert httpx.get(f"{running.url}/_simulator/ledger").json()["entries"] == []
    assert running.simulator.value == 0


def test_concurrent_requests_lose_no_update(running: Running[Counter]) -> None:
    def raise_it(_: int) -> None:
        with httpx.Client(base_url=running.url) as client:
            for _ in range(50):
                client.post("/count")

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(raise_it, range(16)))
    assert running.simulator.value == running.simulator.count("POST", "/count") == 800


def test_log_has_method_path_status_and_no_query(running: Running[Counter]) -> None:
    httpx.get(f"{running.url}/count", params={"secret": "x"})
    log = httpx.get(f"{running.url}/_simulator/requests").json()
    assert log["count"] == 1
    assert log["counts"] == {"GET /count": 1}
    assert log["log"] == [
        {"number": 1, "method": "GET", "path": "/count", "status": 200, "fault": ""}
    ]


def test_control_address_sets_and_lists_faults(running: Running[Counter]) -> None:
    plan = FaultPlan(rules=(FaultRule(fault=Fault(kind=FaultKind.SERVER_ERROR)),))
    set_to = httpx.post(f"{running.url}/_simulator/faults", content=plan.model_dump_json())
    assert set_to.status_code == 200
    assert httpx.get(f"{running.url}/count").status_code == 500
    assert httpx.get(f"{running.url}/count").status_code == 200
    struck = httpx.get(f"{running.url}/_simulator/faults").json()
    assert (struck["count"], struck["faults"][0]["kind"]) == (1, "server_error")
    assert [seen.fault for seen in running.simulator.requests] == ["server_error", ""]
    assert httpx.post(f"{running.url}/_simulator/faults", content=b'{"rat": 1}').status_code == 400


def test_reset_restarts_state_log_and_plan(running: Running[Counter]) -> None:
    running.simulator.set_faults(
        FaultPlan(rules=(FaultRule(fault=Fault(kind=FaultKind.SERVER_ERROR)),))
    )
    httpx.post(f"{running.url}/count")
    httpx.post(f"{running.url}/count")
    assert httpx.post(f"{running.url}/_simulator/reset").status_code == 200
    assert (running.simulator.value, running.simulator.requests, running.simulator.faults) == (
        0,
        (),
        (),
    )
    assert httpx.post(f"{running.url}/count").status_code == 500


def test_control_address_runs_action_or_refuses(running: Running[Counter]) -> None:
    assert change(running, action="set_to", value=5).json() == {"ok": True, "result": 5}
    assert running.simulator.value == 5
    assert change(running, action="set_to", value="many").status_code == 400
    assert change(running, action="explode").status_code == 404
    assert change(running).status_code == 404
    assert httpx.post(f"{running.url}/_simulator/change", content=b"{").status_code == 400
    overview = httpx.get(f"{running.url}/_simulator/").json()
    assert {"set_to", "reset", "set_faults"} <= set(overview["actions"])


def test_control_address_answers_loopback_only(
    running: Running[Counter], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert httpx.get(f"{running.url}/_simulator/ledger").status_code == 200
    # Not each machine has another address from which to ask.
    monkeypatch.setattr(web.BaseRequest, "remote", "192.0.2.7")
    assert httpx.get(f"{running.url}/count").status_code == 200
    assert httpx.get(f"{running.url}/_simulator/ledger").status_code == 403


def test_port_in_use_raises_at_once(running: Running[Counter]) -> None:
    port = int(running.url.rpartition(":")[2])
    with (
        pytest.raises(OSError, match="address already in use"),
        serve_in_thread(Counter(), port=port),
    ):
        pytest.fail("it was served all the same")


def test_hanging_request_does_not_delay_the_end() -> None:
    plan = FaultPlan(rules=(FaultRule(fault=Fault(kind=FaultKind.TIMEOUT, hang_seconds=60)),))
    with serve_in_thread(Counter(plan)) as running, pytest.raises(httpx.ReadTimeout):
        httpx.get(f"{running.url}/count", timeout=httpx.Timeout(60, read=0.1))


def test_serve_reports_ready_and_ends_on_stop() -> None:
    async def run() -> int:
        stop = asyncio.Event()
        ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        serving = asyncio.create_task(serve(Counter(), ready=ready.set_result, stop=stop))
        url = await ready
        async with httpx.AsyncClient() as client:
            status = (await client.get(f"{url}/count")).status_code
        stop.set()
        await serving
        return status

    assert asyncio.run(run()) == 200


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_serve_cleanly(number: signal.Signals) -> None:
    program = """
        import asyncio
        from core.simulator.counter import Counter
        from tillpost.simulator import serve
        asyncio.run(serve(Counter(), ready=lambda url: print(url, flush=True)))
        print("ended", flush=True)
    """
    paths = os.pathsep.join(path for path in sys.path if path)
    served = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": paths},
    )
    assert served.stdout is not None
    with served.stdout:
        assert httpx.get(f"{served.stdout.readline().strip()}/count").status_code == 200
        served.send_signal(number)
        assert served.stdout.read() == "ended\n"
    assert served.wait(60) == 0


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example:80"},
        {"Host": "localhost.evil.example"},
        {"Host": "10.0.0.1"},
        {"Host": "[::1"},
        {"Host": "user@evil.example"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": ""},
    ],
    ids=str,
)
def test_control_address_refuses_pages_of_other_sites(
    running: Running[Counter], headers: dict[str, str]
) -> None:
    url = f"{running.url}/_simulator"
    assert httpx.post(f"{url}/reset", headers=headers).status_code in (400, 403)
    assert httpx.get(f"{url}/ledger", headers=headers).status_code in (400, 403)
    assert httpx.get(f"{running.url}/count", headers=headers).status_code in (200, 400)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_control_address_answers_its_own_names(running: Running[Counter], host: str) -> None:
    name = f"{host}:{httpx.URL(running.url).port}"
    own = {"Host": name, "Origin": f"http://{name}"}
    for headers in (own, {"Host": name}):
        answer = httpx.get(f"{running.url}/_simulator/ledger", headers=headers)
        assert answer.status_code == 200
