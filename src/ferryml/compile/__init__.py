"""Pure translation: a spec becomes argv, environment variables, folders, routes."""
