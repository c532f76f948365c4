"""What runs around user code: standard library alone."""
