"""The server's memory: database rows and artifact bytes."""
