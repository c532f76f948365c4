"""The language of Ferry and its decisions: pure, pydantic only."""
