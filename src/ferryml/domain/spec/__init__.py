"""What people write: frozen specs of every YAML kind, one module a noun."""

from ferryml.domain.spec.automation import Automation
from ferryml.domain.spec.code import Code
from ferryml.domain.spec.common import Spec
from ferryml.domain.spec.compute import Compute, KubernetesCompute, LocalCompute
from ferryml.domain.spec.data import Data
from ferryml.domain.spec.datastore import Datastore
from ferryml.domain.spec.deployment import OnlineDeployment
from ferryml.domain.spec.endpoint import OnlineEndpoint
from ferryml.domain.spec.environment import Environment
from ferryml.domain.spec.io import Input, Output
from ferryml.domain.spec.job import CommandJob
from ferryml.domain.spec.model import Model
from ferryml.domain.spec.rollout import Rollout
from ferryml.domain.spec.webhook import Webhook
from ferryml.domain.spec.workspace import Workspace

__all__ = [
    "Automation",
    "Code",
    "CommandJob",
    "Compute",
    "Data",
    "Datastore",
    "Environment",
    "Input",
    "KubernetesCompute",
    "LocalCompute",
    "Model",
    "OnlineDeployment",
    "OnlineEndpoint",
    "Output",
    "Rollout",
    "Spec",
    "Webhook",
    "Workspace",
]
