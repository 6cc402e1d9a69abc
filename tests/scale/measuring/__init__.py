"""What the simulator says of a million, measured at the largest size that fits one machine. Loopback alone."""
