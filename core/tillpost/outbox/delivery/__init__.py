"""Delivery of claimed orders to their POS, and the worker's queries of stores."""
