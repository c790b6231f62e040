"""`manage.py tillpost COMMAND`: any command of Tillpost's on Django's database."""

from __future__ import annotations

from tillpost_django.management.command import TillpostCommand

__all__ = ["Command"]


class Command(TillpostCommand):
    """Runs the `tillpost` command."""

    help = "Run a command of Tillpost's on the outbox in Django's database, such as `orders list`."
