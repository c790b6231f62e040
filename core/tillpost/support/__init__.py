"""Support tools: diagnosis of an order that isn't on the register; a test order."""
