"""Delivers one claimed order to its POS."""
