"""The words of the trade: money, orders, menus, as frozen pydantic models."""
