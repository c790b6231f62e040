"""The processor, the bundled worker, and its recurring tasks.

`processor` handles due orders one by one, `worker` is the loop around it, and `maintenance` runs
the recurring tasks. Whatever fails for one order or connection holds up no other.
"""
