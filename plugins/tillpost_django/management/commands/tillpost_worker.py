"""`manage.py tillpost_worker`: submits orders until it is stopped."""

from __future__ import annotations

from tillpost_django.management.command import TillpostCommand

__all__ = ["Command"]


class Command(TillpostCommand):
    """Runs `tillpost worker`."""

    help = "Submit the outbox's orders until Ctrl-C or SIGTERM."
    words = ("worker",)
