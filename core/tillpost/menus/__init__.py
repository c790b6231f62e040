"""Menus compared, checked, and matched with orders. Pure functions, no I/O."""
