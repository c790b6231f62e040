"""Menus that all workers share, and those that wait for a review."""
