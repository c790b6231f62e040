"""One order's way to the register, as a flow of commands without I/O."""
