"""Tillpost in Django 5: orders join its transactions, and its admin shows them.

    INSTALLED_APPS = [..., "tillpost_django"]

    with transaction.atomic():
        sale.save()
        tillpost_django.add(order, connection="cafe-42")

The outbox's tables are in one of Django's databases. `manage.py tillpost_worker` submits the
orders. Needs the extra `django`.
"""

from __future__ import annotations

from tillpost_django.transactions import add, outbox

__all__ = ["add", "outbox"]
