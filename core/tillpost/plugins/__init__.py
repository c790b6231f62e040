"""What can be plugged in (`hookspecs`), and what finds and calls it (`manager`)."""
