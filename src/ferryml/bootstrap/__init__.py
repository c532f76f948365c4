"""The only place that plugs things together; owns the clock and the dice."""
