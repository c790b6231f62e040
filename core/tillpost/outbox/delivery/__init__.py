"""Delivers claimed orders to their POS, and asks stores for what the worker wants to know."""
