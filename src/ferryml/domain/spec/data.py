"""Data assets, where they live, and which zones they may never leave."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ferryml.domain.spec.common import Spec
from ferryml.domain.spec.values import AssetName, Fold, OneOrMany, PathOrUri, TextMap, Version, ZoneName

Verdict = Annotated[Literal["allow", "deny"], Fold()]
DataType = Annotated[Literal["uri_file", "uri_folder", "mltable"], Fold()]


class Release(Spec):
    """What made from zone-bound data may leave the zone; the data owner's word, audited."""

    models: Verdict = Field("deny", description="Model files trained on the data.")
    metrics: Verdict = Field("deny", description="Logged numbers.")
    params: Verdict = Field("deny", description="Logged parameters and tags.")
    logs: Verdict = Field("deny", description="Console output, which may quote the data.")
    artifacts: Verdict = Field("deny", description="Every other file, captured requests included.")


class Data(Spec):
    """A versioned file, folder or table."""

    read_only: ClassVar[frozenset[str]] = frozenset({"datastore", "auto_delete_setting"})

    name: AssetName | None = Field(None, description="Asset name; none only when inline (anonymous).")
    version: Version | None = Field(None, description="Version; none: the next number.")
    description: str = Field("", description="For people.")
    tags: TextMap = Field({}, description="For searching.")
    properties: TextMap = Field({}, description="Set once, for programs.")
    type: DataType = Field("uri_folder", description="One file, a folder, or a folder with an MLTable file.")
    path: PathOrUri = Field(description="Local path (uploaded) or URI (by reference).")
    zones: Annotated[tuple[ZoneName, ...], OneOrMany] = Field(
        (), description="Zones that the data and all made from it may be in; empty: anywhere."
    )
    release: Release = Field(Release(), description="What made from the data may leave its zones; empty: nothing.")
