"""For an order that isn't on the register: diagnosis, runbook, test order."""
