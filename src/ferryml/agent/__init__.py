"""The agent program: dials out, follows wishes, reports what it sees."""
