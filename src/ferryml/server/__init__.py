"""The server program: HTTP in front of the use cases."""
