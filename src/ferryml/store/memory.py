"""What happened: audit trail, events and lineage; and who may work on what until when."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Table, delete, or_, select, text

from ferryml.control.ports import Edge, Entry, Json
from ferryml.store.session import Clock, Session, canonical, from_micros, to_micros
from ferryml.store.tables import audit, edges, events, leases


class Memory(Session):
    """Part of `Tx`: audit, events, edges and leases."""

    def __init__(self, connection: Connection, clock: Clock | None = None, reading: bool = False) -> None:
        super().__init__(connection, clock, reading)
        self._unwritten: list[tuple[Table, dict[str, Any]]] = []

    def audit(self, actor: str, workspace: str, verb: str, subject: str, details: Mapping[str, Json]) -> None:
        self._remember(audit, actor, workspace, verb, subject, details)

    def event(self, workspace: str, verb: str, subject: str, details: Mapping[str, Json]) -> None:
        self._remember(events, "", workspace, verb, subject, details)

    def audits(self, workspace: str, after: int = 0, limit: int = 100) -> list[Entry]:
        return self._entries(audit, workspace, after, limit)

    def forget_audits(self, before: datetime) -> int:
        return self.connection.execute(delete(audit).where(audit.c.at < to_micros(before))).rowcount

    def events(self, workspace: str, after: int = 0, limit: int = 100, subject: str | None = None) -> list[Entry]:
        return self._entries(events, workspace, after, limit, subject)

    def link(self, edge: Edge) -> None:
        self.add(edges, edge.model_dump())

    def edges(self, workspace: str, *, source: str | None = None, target: str | None = None) -> list[Edge]:
        """In the order of source, relation, target."""
        query = select(edges).where(edges.c.workspace == workspace)
        if source is not None:
            query = query.where(edges.c.source == source)
        if target is not None:
            query = query.where(edges.c.target == target)
        query = query.order_by(edges.c.source, edges.c.relation, edges.c.target)
        return [Edge(**found) for found in self.connection.execute(query).mappings()]

    def lease(self, name: str, holder: str, ttl_s: float) -> bool:
        """A ttl of 0 gives it back."""
        now = self.clock()
        values = {"holder": holder, "until": to_micros(now + timedelta(seconds=ttl_s))}
        statement = self.into(leases).values(name=name, **values)
        statement = statement.on_conflict_do_update(
            index_elements=["name"],
            set_=values,
            where=or_(leases.c.holder == holder, leases.c.until <= to_micros(now)),
        )
        return self.connection.execute(statement.returning(leases.c.name)).scalar() is not None

    def flush(self) -> None:
        """Numbers are given out at the very end under one lock, so that a reader never sees 8 before 7."""
        super().flush()
        if not self._unwritten:
            return
        if self.locks:
            self.connection.execute(_NUMBERING)
        for table in (audit, events):
            rows = [row for kept, row in self._unwritten if kept is table]
            if rows:
                self.connection.execute(table.insert(), rows)
        self._unwritten.clear()

    def _remember(
        self, table: Table, actor: str, workspace: str, verb: str, subject: str, details: Mapping[str, Json]
    ) -> None:
        row = {"actor": actor, "workspace": workspace, "verb": verb, "subject": subject}
        self._unwritten.append((table, {**row, "at": self.micros(), "details": canonical(details)}))

    def _entries(self, table: Table, workspace: str, after: int, limit: int, subject: str | None = None) -> list[Entry]:
        self.flush()
        query = select(table).where(table.c.workspace == workspace, table.c.seq > after)
        if subject is not None:
            query = query.where(table.c.subject == subject)
        found = self.connection.execute(query.order_by(table.c.seq).limit(limit)).mappings()
        return [Entry(**{**row, "at": from_micros(row["at"]), "details": json.loads(row["details"])}) for row in found]


# Any number that no other advisory lock of this database uses.
_NUMBERING = text("SELECT pg_advisory_xact_lock(4607182418800017)")
