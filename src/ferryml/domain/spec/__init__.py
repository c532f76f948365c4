"""What people write: frozen specs of every YAML kind, one module a noun."""
