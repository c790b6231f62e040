"""Django's admin shows orders and connections, and lets those who may act on orders."""

from __future__ import annotations

import pytest

from plugins.django.conftest import Project
from tillpost.outbox import Outbox
from tillpost.outbox.operations.orders import OrderOperations
from tillpost.simulator import Running
from tillpost_simulators.square import SquareSimulator

pytestmark = pytest.mark.slow  # each starts Django several times

START = """
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client

ORDERS = "/admin/tillpost_django/order/"
CONNECTIONS = "/admin/tillpost_django/connection/"
ONE = ORDERS + "A_2F1/change/"
ACT = ORDERS + "A_2F1/act/"

def client(name, *permissions):
    user = User.objects.create_user(name, is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    signed_in = Client()
    signed_in.force_login(user)
    return signed_in

def text(answer):
    assert answer.status_code == 200, (answer.status_code, answer.headers)
    return answer.content.decode()
"""


@pytest.fixture
def delivered(project: Project, shop: Running[SquareSimulator]) -> Project:
    """A project with an order at the register, and one that wasn't sent yet."""
    project.run("add('A/1')")
    project.manage("tillpost_worker", "--until-idle")
    project.run("add('A/2')")
    return project


def test_pages_show_orders_journal_and_connections(
    delivered: Project, shop: Running[SquareSimulator]
) -> None:
    token = shop.settings["access_token"]
    delivered.run(
        START
        + f"""
TOKEN = {token!r}
viewer = client("mia", "view_order", "view_connection")
listed = text(viewer.get(ORDERS))
assert "A_2F1" in listed and "A_2F2" in listed
assert "A_2F2" not in text(viewer.get(ORDERS + "?state=received"))
assert "A_2F2" not in text(viewer.get(ORDERS + "?problem=1"))
assert "A_2F2" not in text(viewer.get(ORDERS + "?q=A/1"))
shown = text(viewer.get(ONE))
assert "received by the platform" in shown
assert "sending a request that can create the order" in shown
assert "at the platform:" in shown
assert "Send again" not in shown and "_save" not in shown
states = text(viewer.get(CONNECTIONS))
assert "cafe" in states and "square" in states and "well" in states
for page in (listed, shown, states):
    assert TOKEN not in page
"""
    )


def test_times_are_in_the_current_time_zone(delivered: Project) -> None:
    delivered.run(
        START
        + """
import re
from zoneinfo import ZoneInfo
from django.utils import timezone

with timezone.override(ZoneInfo("Asia/Tokyo")):
    viewer = client("mia", "view_order")
    for page in (ORDERS, ONE):
        shown = text(viewer.get(page))
        times = re.findall(r"\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d(?: \\w+)?", shown)
        assert times and all(time.endswith(" JST") for time in times), times
"""
    )


def test_act_is_audited_by_both(delivered: Project, outbox: Outbox) -> None:
    delivered.run(
        START
        + """
staff = client("mia", "view_order", "operate_order")
assert "Send again" in text(staff.get(ONE))
answer = staff.post(ORDERS + "A_2F2/act/", {"act": "manual"})
assert "PAID ONLINE" in text(answer), text(answer)
answer = staff.post(ORDERS + "A_2F2/act/", {"act": "resubmit"}, follow=True)
assert "can&#x27;t be sent again: it was taken over by hand" in text(answer)
(entry,) = LogEntry.objects.all()
assert entry.user.username == "mia" and entry.object_id == "A/2"
assert entry.get_change_message() == "Tillpost: manual"
"""
    )
    stored = outbox.get("A/2")
    assert stored
    assert stored.state.value == "manual"
    acts = OrderOperations(outbox, "").acts("A/2")
    assert [(act.who, act.what) for act in acts] == [("mia", "manual")]


def test_orders_are_sent_again_from_the_list(project: Project, outbox: Outbox) -> None:
    """Without a connection, the order fails."""
    (project.folder / "tillpost.toml").write_text("")
    project.run("add('A/1')")
    project.run(
        """
        from tillpost.outbox import Processor

        with Processor(tillpost_django.outbox()) as processor:
            processor.process("A/1")
        """
    )
    failed = outbox.get("A/1")
    assert failed
    assert failed.state.value == "error"
    project.run(
        START
        + """
assert "A_2F1" in text(client("viewer", "view_order").get(ORDERS + "?problem=1"))
chosen = {"action": "resubmit_selected", "_selected_action": ["A/1"]}
client("reader", "view_order").post(ORDERS, chosen)
assert LogEntry.objects.count() == 0
answer = client("mia", "view_order", "operate_order").post(ORDERS, chosen, follow=True)
assert "done (send again)" in text(answer)
"""
    )
    stored = outbox.get("A/1")
    assert stored
    assert stored.state.value == "due"


def test_who_may_not_sees_and_does_nothing(delivered: Project, outbox: Outbox) -> None:
    delivered.run(
        START
        + """
anonymous, nobody, viewer = Client(), client("nobody"), client("viewer", "view_order")
for page in (ORDERS, CONNECTIONS, ONE):
    assert anonymous.get(page).status_code == 302
    assert nobody.get(page).status_code == 403, page
assert viewer.get(CONNECTIONS).status_code == 403
for act in ("resubmit", "accept", "manual", "cancel"):
    assert anonymous.post(ACT, {"act": act}).status_code == 302
    assert nobody.post(ACT, {"act": act}).status_code == 403
    assert viewer.post(ACT, {"act": act}).status_code == 403
operator = client("operator", "view_order", "operate_order")
assert operator.get(ACT).status_code == 405
assert operator.post(ACT, {"act": "other"}).status_code == 404
assert operator.post(ORDERS + "A_2F9/act/", {"act": "accept"}).status_code == 404
strict = Client(enforce_csrf_checks=True)
strict.force_login(User.objects.get(username="operator"))
assert strict.post(ACT, {"act": "manual"}).status_code == 403
for page in (ORDERS + "add/", ORDERS + "A_2F1/delete/"):
    assert operator.get(page).status_code == 403, page
operator.post(ONE, {"code": "changed", "state": "due"})
assert LogEntry.objects.count() == 0
"""
    )
    stored = outbox.get("A/1")
    assert stored
    assert (stored.state.value, stored.code != "changed") == ("received", True)
    assert OrderOperations(outbox, "").acts("A/1") == []
