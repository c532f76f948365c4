"""Current things: one table for all kinds, guarded by etags."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from typing import Any, Literal

from sqlalchemy import RowMapping, and_, bindparam, delete, func, or_, select, update

from ferryml.control.ports import Kind, Row
from ferryml.domain.errors import Conflict
from ferryml.store.session import Session, canonical, from_micros, inserting
from ferryml.store.tables import resources as table


class Rows(Session):
    """Part of `Tx`: get, latest, find, insert, update, delete."""

    def get(self, kind: Kind, workspace: str, name: str, version: str = "") -> Row | None:
        found = self.connection.execute(_GET, _key(kind, workspace, name, version)).mappings().first()
        return _row(found) if found else None

    def latest(self, kind: Kind, workspace: str, name: str) -> Row | None:
        rows = self.find(kind, workspace=workspace, name=name, newest_first=True, limit=1)
        return rows[0] if rows else None

    def find(
        self, kind: Kind, *, workspace: str | None = None, name: str | None = None, parent: str | None = None,
        phases: Sequence[str] = (), archived: Literal["no", "yes", "any"] = "no", after: int = 0, limit: int = 1000,
        newest_first: bool = False, label: tuple[str, str] | None = None,
    ) -> list[Row]:  # fmt: skip
        """In order of creation. `after` goes on where a page ended: later rows, or with newest_first earlier ones."""
        query = select(table).where(table.c.kind == kind).limit(limit)
        for column, value in (("workspace", workspace), ("name", name), ("parent", parent)):
            if value is not None:
                query = query.where(table.c[column] == value)
        if phases:
            query = query.where(table.c.phase.in_(list(phases)))
        if archived != "any":
            query = query.where(table.c.archived.is_(archived == "yes"))
        if label is not None:
            query = query.where(self._has_label(*label))
        if newest_first:
            query = query.order_by(table.c.seq.desc())
            query = query.where(table.c.seq < after) if after else query
        else:
            query = query.order_by(table.c.seq).where(table.c.seq > after)
        return [_row(found) for found in self.connection.execute(query).mappings()]

    def insert(self, row: Row) -> Row:
        at = self.micros()
        values = {"kind": row.kind, "workspace": row.workspace, "name": row.name, "version": row.version, **_body(row)}
        statement = _insert(self.postgres)
        seq = self.connection.execute(statement, {**values, "etag": 1, "created_at": at, "updated_at": at}).scalar()
        if seq is None:
            raise Conflict(
                "AlreadyExists", f"{_called(row)} exists already.", "Use update, another name or a new version."
            )
        moment = from_micros(at)
        return row.model_copy(update={"seq": seq, "etag": 1, "created_at": moment, "updated_at": moment})

    def update(self, row: Row) -> Row:
        """Compare and set by etag; a row that is gone counts as changed."""
        at = self.micros()
        key = _key(row.kind, row.workspace, row.name, row.version)
        values = {**_body(row), "etag": row.etag + 1, "updated_at": at}
        changed = self.connection.execute(_UPDATE, {**key, "its_etag": row.etag, **values})
        if changed.rowcount != 1:
            raise Conflict(
                "VersionConflict",
                f"{_called(row)} was changed by someone else in between.",
                "Read it again and repeat the change.",
            )
        return row.model_copy(update={"etag": row.etag + 1, "updated_at": from_micros(at)})

    def delete(self, kind: Kind, workspace: str, name: str, version: str = "") -> bool:
        return self.connection.execute(_DELETE, _key(kind, workspace, name, version)).rowcount == 1

    def _has_label(self, key: str, value: str) -> Any:
        # Canonical JSON has exactly one spelling of a pair, and a quote inside a text is always escaped.
        pair = f"{json.dumps(key)}:{json.dumps(value)}"
        position = func.strpos if self.postgres else func.instr
        return or_(*(position(table.c.labels, start + pair) > 0 for start in "{,"))


def _key(kind: Kind, workspace: str, name: str, version: str) -> dict[str, Any]:
    return {"its_kind": kind, "its_workspace": workspace, "its_name": name, "its_version": version}


def _called(row: Row) -> str:
    return f"{row.kind} {row.name}{':' + row.version if row.version else ''}"


def _body(row: Row) -> dict[str, Any]:
    return {
        "spec": canonical(row.spec),
        "status": canonical(row.status),
        "phase": row.phase,
        "parent": row.parent,
        "labels": canonical(row.labels),
        "created_by": row.created_by,
        "archived": row.archived,
    }


def _row(found: RowMapping) -> Row:
    values = dict(found)
    for column in ("spec", "status", "labels"):
        values[column] = json.loads(values[column])
    for column in ("created_at", "updated_at"):
        values[column] = from_micros(values[column])
    return Row.model_construct(**values)


# Built once: putting a statement together takes longer than running it.
_IS = and_(*(table.c[name] == bindparam(f"its_{name}") for name in ("kind", "workspace", "name", "version")))
_GET = select(table).where(_IS)
_DELETE = delete(table).where(_IS)
_UPDATE = (
    update(table)
    .where(_IS, table.c.etag == bindparam("its_etag"))
    .values({name: bindparam(name) for name in (*_body(Row(kind="job", name="")), "etag", "updated_at")})
)


@cache
def _insert(postgres: bool) -> Any:
    return inserting(table, postgres).on_conflict_do_nothing().returning(table.c.seq)
