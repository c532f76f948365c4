"""Measures Ferry on one machine; `python -m benchmarks` runs every topic. Nothing here leaves 127.0.0.1."""
