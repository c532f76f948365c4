"""REST routes, one module a noun, each a thin door to control."""
