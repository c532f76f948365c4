"""The workspace: the container of everything, and its aliases."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from ferryml.domain.spec.common import Spec
from ferryml.domain.spec.environment import EnvironmentOrRef
from ferryml.domain.spec.values import ComputeName, NoneIsEmpty, Text, TextMap, named


class Aliases(Spec):
    """Names that documents use -> what this workspace takes instead; * and ? match."""

    compute: Annotated[dict[str, ComputeName], NoneIsEmpty] = Field({}, description="Compute name -> compute name.")
    environment: Annotated[dict[str, EnvironmentOrRef], NoneIsEmpty] = Field(
        {}, description="Environment reference, or only its name -> reference or inline environment."
    )
    image: Annotated[dict[str, str], NoneIsEmpty] = Field({}, description="Image -> image, such as a mirror's.")


class Workspace(Spec):
    """Where a team's jobs, models and endpoints are."""

    read_only: ClassVar[frozenset[str]] = frozenset(
        {"discovery_url", "mlflow_tracking_uri", "resource_group", "workspace_id", "location_id"}
    )

    name: Annotated[Text, named("workspace")] = Field(description="Unique on the server.")
    display_name: str = Field("", description="For people; empty: the name.")
    description: str = Field("", description="For people.")
    tags: TextMap = Field({}, description="For searching.")
    location: str = Field("", description="Where it belongs, for people; empty: unsaid.")
    default_compute: ComputeName | None = Field(
        None, description="For jobs and endpoints that name none; none: refused."
    )
    default_datastore: str | None = Field(None, description="For outputs without a path; none: the server's own store.")
    aliases: Annotated[Aliases, NoneIsEmpty] = Field(
        Aliases(), description="Names of elsewhere, and what they mean here."
    )
