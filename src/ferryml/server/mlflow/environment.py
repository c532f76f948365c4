"""MLflow is configured through environment variables, some read at import; this is the one place that sets them."""

import os
import warnings

ARTIFACT_ROOT = "mlflow-artifacts:/"
ARTIFACT_DESTINATION = "ferry-artifacts:/"

# No database address is among them: what stands here is inherited by child processes.
VARIABLES = {
    "MLFLOW_ENABLE_WORKSPACES": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    # Its host and origin checks know only loopback and private addresses; ours come before it.
    "MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE": "true",
    # A model version may name only what lies in our own tree (or a prompt's placeholder), never a place to dial.
    "MLFLOW_CREATE_MODEL_VERSION_SOURCE_VALIDATION_REGEX": (
        r"^(mlflow-artifacts:/[^/]|models:/|runs:/|prompt-template$|dummy-source$)"
    ),
    "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
    "_MLFLOW_SERVER_ARTIFACT_ROOT": ARTIFACT_ROOT,
    "_MLFLOW_SERVER_ARTIFACT_DESTINATION": ARTIFACT_DESTINATION,
}

# A person's shell may carry these for a client; here they would become everybody's default.
FOREIGN = ("MLFLOW_WORKSPACE", "MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "MLFLOW_WORKSPACE_STORE_URI")


def settle() -> None:
    """Idempotent; must run before MLflow is imported."""
    os.environ.update(VARIABLES)
    for name in FOREIGN:
        os.environ.pop(name, None)
    # MLflow maps two relations with a loader that SQLAlchemy 2.1 deprecates; nobody here can mend that.
    warnings.filterwarnings("ignore", message=r"The ``noload`` loader strategy is deprecated")
