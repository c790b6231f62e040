"""`manage.py tillpost_migrate`: creates or upgrades the outbox's tables."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError

from tillpost.errors import ConfigError
from tillpost.outbox import DatabaseError
from tillpost_django.transactions import outbox

__all__ = ["Command"]


class Command(BaseCommand):
    """Migrates the outbox."""

    help = "Create the outbox's tables in Django's database, or bring them to this version."

    def handle(self, *args: Any, **options: Any) -> None:
        """Migrate, and print whether there was anything to do."""
        try:
            changed = outbox().migrate()
        except (ImproperlyConfigured, ConfigError, DatabaseError) as error:
            raise CommandError(str(error)) from None
        done = "are at this version now" if changed else "were at this version already"
        self.stdout.write(f"Tillpost's tables {done}.")
