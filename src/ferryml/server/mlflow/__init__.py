"""The real MLflow tracking server inside Ferry's own: one MLflow workspace per Ferry workspace."""

from ferryml.server.mlflow.environment import settle

# MLflow reads its environment while it is imported, so this must come before any module here that imports it.
settle()
