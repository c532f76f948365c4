"""Processes on the agent's own machine: the embedded default."""
