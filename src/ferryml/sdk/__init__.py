"""The client side of the REST API: prepare, send, read."""
