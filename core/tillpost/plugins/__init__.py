"""What can be plugged in (`hookspecs`), and how it is found and called (`manager`)."""
