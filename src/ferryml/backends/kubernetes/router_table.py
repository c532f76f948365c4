"""The router's table as it lies in the cluster: one Secret, written by the operator, watched by every router."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from datetime import datetime

from pydantic import ValidationError

from ferryml.backends.kubernetes.kinds import SECRETS
from ferryml.backends.kubernetes.kube import Kube, Manifest
from ferryml.domain.errors import Conflict, Refused, Unavailable
from ferryml.domain.routes import EndpointRoute, RouterTable

TABLE = "ferry-router-table"
ENTRY = "table.json"
_MOST_BYTES = 900_000
_TRIES = 5


def read_table(body: Manifest | None) -> RouterTable | None:
    """None while there is none, or none that can be read: then what serves serves on. Raises Refused for the latter."""
    text = ((body or {}).get("data") or {}).get(ENTRY)
    if not text:
        return None
    try:
        return RouterTable.model_validate_json(base64.b64decode(text, validate=True))
    except (binascii.Error, ValidationError) as error:
        raise Refused("BadValue", f"Secret {TABLE} holds no table of the router's", "Empty it.") from error


class TableBook:
    """Writes it, one change at a time, each with a higher generation, also when somebody has emptied the Secret.

    `check` raises Refused for a table that a router would misread; nothing of it is written then.
    """

    def __init__(
        self, kube: Kube, namespace: str, now: Callable[[], datetime], check: Callable[[RouterTable], object]
    ) -> None:
        self._kube, self._namespace, self._now, self._check = kube, namespace, now, check

    def read(self) -> RouterTable:
        """As it is written; empty while there is none. Raises FerryError."""
        return read_table(self._kube.get(SECRETS, self._namespace, TABLE)) or RouterTable()

    def put(self, route: EndpointRoute) -> RouterTable:
        """The endpoint like this, the others as they are; addresses are left out, for routers find them themselves."""
        bare = without_addresses(route)

        def change(known: tuple[EndpointRoute, ...]) -> tuple[EndpointRoute, ...]:
            taken = next((one for one in known if one.name == bare.name and one.uid != bare.uid), None)
            if taken is not None:
                raise Conflict(
                    "AlreadyExists", f"the router serves another endpoint named {bare.name} already",
                    "Names of endpoints are unique in a cluster: choose another.",
                )  # fmt: skip
            return (*(one for one in known if one.uid != bare.uid), bare)

        return self._change(change)

    def drop(self, uid: str) -> RouterTable:
        """Without this endpoint."""
        return self._change(lambda known: tuple(one for one in known if one.uid != uid))

    def _change(self, change: Callable[[tuple[EndpointRoute, ...]], tuple[EndpointRoute, ...]]) -> RouterTable:
        for _ in range(_TRIES):
            body = self._kube.get(SECRETS, self._namespace, TABLE)
            known = read_table(body) or RouterTable()
            wanted = tuple(sorted(change(known.endpoints), key=lambda one: one.uid))
            if wanted == known.endpoints and known.generation:
                return known
            generation = max(known.generation + 1, int(self._now().timestamp() * 1000))
            table = RouterTable(generation=generation, endpoints=wanted)
            self._check(table)
            try:
                self._write(body, table)
            except Conflict:
                continue
            return table
        raise Unavailable("Unavailable", f"somebody else keeps writing Secret {self._namespace}/{TABLE}")

    def _write(self, body: Manifest | None, table: RouterTable) -> None:
        text = table.model_dump_json(exclude_defaults=True).encode()
        if len(text) > _MOST_BYTES:
            raise Refused(
                "LimitExceeded", f"the router's table of {len(table.endpoints)} endpoints is too large for a Secret",
                "Delete endpoints, or serve them from another site.",
            )  # fmt: skip
        data = {ENTRY: base64.b64encode(text).decode()}
        if body is None:
            metadata = {"name": TABLE, "namespace": self._namespace}
            made = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "data": data}
            self._kube.create(SECRETS, made)
        else:
            self._kube.replace(SECRETS, {**body, "data": data})


def without_addresses(route: EndpointRoute) -> EndpointRoute:
    """What the operator decides; where the pods are is the cluster's to say."""
    bare = tuple(one.model_copy(update={"upstreams": ()}) for one in route.revisions)
    return route.model_copy(update={"revisions": bare})
