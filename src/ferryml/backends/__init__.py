"""Where work runs: the hands of an agent."""
