"""Delivery of claimed orders to their POS, and the worker's queries of stores.

`runner` brings one order as far as it goes now, `open_connections` keeps what it needs for
each connection, and `run_result` is what the worker then writes to the database.
"""
