"""The marker by which a package registers its adapter or implements other hooks."""

from __future__ import annotations

import pluggy

__all__ = ["hookimpl"]

hookimpl = pluggy.HookimplMarker("tillpost")
"""Marks a function as the implementation of a hook.

`plugins.hookspecs` lists the hooks.
"""
