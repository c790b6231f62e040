"""Tillpost in Django 5: orders join its transactions, and its admin shows them.

    INSTALLED_APPS = [..., "tillpost_django"]

    with transaction.atomic():
        sale.save()
        tillpost_django.add(order, connection="cafe-42")

The outbox's tables are in one of Django's databases. `manage.py tillpost_worker` submits the
orders. Needs the extra `django`.
"""

from __future__ import annotations

try:
    from tillpost_django.transactions import add, outbox
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] != "django":
        raise
    raise ModuleNotFoundError(
        "tillpost_django needs Django 5: pip install 'tillpost[django]'", name="django"
    ) from None

__all__ = ["add", "outbox"]
