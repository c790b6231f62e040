"""Commands of `manage.py` that run the `tillpost` command."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand

from tillpost_command import main
from tillpost_django.settings import database_url, load_settings

__all__ = ["TillpostCommand"]


class TillpostCommand(BaseCommand):
    """Passes its arguments on, and ends the process with the command's exit code."""

    words: Sequence[str] = ()
    """The words that come before the arguments."""

    def run_from_argv(self, argv: list[str]) -> None:
        """Run the `tillpost` command in this process."""
        try:
            settings = load_settings()
            url = database_url(settings.using)
        except ImproperlyConfigured as error:
            self.stderr.write(f"{argv[1]}: {error}")
            sys.exit(2)
        os.environ["TILLPOST_DB"] = url.get_secret_value()
        if settings.config:
            os.environ["TILLPOST_CONFIG"] = str(settings.config)
        # The program's name as its help shows it, and its arguments.
        sys.argv = ["manage.py tillpost", *self.words, *argv[2:]]
        main()
