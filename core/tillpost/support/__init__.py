"""Support tools: diagnose an order that isn't on the register, and send a test order."""
