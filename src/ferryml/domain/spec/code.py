"""Code assets: a folder as it was, found again by its content."""

from __future__ import annotations

from pydantic import Field

from ferryml.domain.spec.common import Spec
from ferryml.domain.spec.values import AssetName, PathOrUri, TextMap, Version


class Code(Spec):
    """A snapshot of a folder; .amlignore or .gitignore say what stays out."""

    name: AssetName | None = Field(None, description="Asset name; none: anonymous, found by its hash.")
    version: Version | None = Field(None, description="Version; none: the content hash.")
    description: str = Field("", description="For people.")
    tags: TextMap = Field({}, description="For searching.")
    properties: TextMap = Field({}, description="Set once, for programs.")
    path: PathOrUri = Field(description="Local folder, git address or URI.")
