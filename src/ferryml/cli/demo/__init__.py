"""The closed loop on one machine, on real data, in about a minute: `ferry demo`."""
