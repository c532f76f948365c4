"""Use cases: what people, agents and timers may ask for."""
