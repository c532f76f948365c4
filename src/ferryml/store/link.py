"""The server's end of the link: wishes with cursors that nobody can overtake, and the newest report of each thing."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import RowMapping, and_, bindparam, select, tuple_, update

from ferryml.control.ports import Json, WishRow
from ferryml.domain.link import Report
from ferryml.store.session import Session, canonical
from ferryml.store.tables import facts, journal_acks, reports, site_cursors, wishes


class Link(Session):
    """Part of `Tx`: wishes, reports, epoch and journal acknowledgements."""

    def put_wish(
        self, site: str, uid: str, order: Mapping[str, Json] | None, grant: Callable[[int], str] | None = None
    ) -> WishRow:
        """A uid that was dropped goes on counting its generations."""
        wanted = None if order is None else canonical(order)
        stored = self._wish(site, uid)
        if stored is not None and stored["order"] == wanted:
            return _wish_row(stored)
        cursor = self._next_cursor(site)
        # Again, now that nobody else can change it before we commit.
        stored = self._wish(site, uid)
        if stored is not None and stored["order"] == wanted:
            return _wish_row(stored)
        generation = stored["generation"] + 1 if stored is not None else 1
        signed = grant(generation) if grant is not None else ""
        values = {"generation": generation, "cursor": cursor, "order": wanted, "grant": signed, "dropped": False}
        self.put(wishes, {"site": site, "uid": uid}, values)
        self.put(site_cursors, {"site": site}, {"cursor": cursor})
        return WishRow(
            site=site,
            uid=uid,
            generation=generation,
            cursor=cursor,
            order=None if order is None else dict(order),
            grant=signed,
        )

    def wish(self, site: str, uid: str) -> WishRow | None:
        stored = self._wish(site, uid)
        return None if stored is None or stored["dropped"] else _wish_row(stored)

    def wishes(self, site: str, after: int, limit: int) -> list[WishRow]:
        """In order of their cursors, tombstones included."""
        query = (
            select(wishes)
            .where(wishes.c.site == site, wishes.c.cursor > after, wishes.c.dropped.is_(False))
            .order_by(wishes.c.cursor)
            .limit(limit)
        )
        return [_wish_row(stored) for stored in self.connection.execute(query).mappings()]

    def drop_wish(self, site: str, uid: str) -> None:
        self.connection.execute(update(wishes).where(_is(wishes, site, uid)).values(order=None, grant="", dropped=True))

    def put_report(self, site: str, report: Report) -> bool:
        """Newer means a higher (generation, attempt, version)."""
        values = {
            "generation": report.generation,
            "attempt": report.attempt,
            "version": report.version,
            "body": report.model_dump_json(),
            "pending": self.micros(),
        }
        statement = self.into(reports).values(site=site, uid=report.uid, **values)
        new = statement.excluded
        statement = statement.on_conflict_do_update(
            index_elements=["site", "uid"],
            set_=values,
            where=tuple_(new.generation, new.attempt, new.version)
            > tuple_(reports.c.generation, reports.c.attempt, reports.c.version),
        )
        return self.connection.execute(statement.returning(reports.c.uid)).scalar() is not None

    def report(self, site: str, uid: str) -> Report | None:
        body = self.connection.execute(select(reports.c.body).where(_is(reports, site, uid))).scalar()
        return None if body is None else Report.model_validate_json(body)

    def unhandled_reports(self, limit: int = 100) -> list[tuple[str, Report]]:
        """Oldest first."""
        query = (
            select(reports.c.site, reports.c.body)
            .where(reports.c.pending.is_not(None))
            .order_by(reports.c.pending, reports.c.site, reports.c.uid)
            .limit(limit)
        )
        return [(site, Report.model_validate_json(body)) for site, body in self.connection.execute(query)]

    def handled(self, site: str, report: Report) -> None:
        """Only this very report: a newer one that came in meanwhile stays unhandled."""
        self.connection.execute(
            update(reports)
            .where(
                _is(reports, site, report.uid),
                reports.c.generation == report.generation,
                reports.c.attempt == report.attempt,
                reports.c.version == report.version,
            )
            .values(pending=None)
        )

    def epoch(self) -> str:
        value: str = self.connection.execute(select(facts.c.value).where(facts.c.name == "epoch")).scalar_one()
        return value

    def set_epoch(self, epoch: str) -> None:
        self.put(facts, {"name": "epoch"}, {"value": epoch})

    def journal_ack(self, site: str, stream: str) -> int:
        """In PostgreSQL the stream stays locked to the end of the transaction, so that two never apply it at once."""
        where = and_(journal_acks.c.site == site, journal_acks.c.stream == stream)
        query = select(journal_acks.c.seq).where(where)
        if self.locks:
            self.add(journal_acks, {"site": site, "stream": stream, "seq": 0})
            query = query.with_for_update()
        return self.connection.execute(query).scalar() or 0

    def set_journal_ack(self, site: str, stream: str, seq: int) -> None:
        """Never goes back."""
        statement = self.into(journal_acks).values(site=site, stream=stream, seq=seq)
        self.connection.execute(
            statement.on_conflict_do_update(
                index_elements=["site", "stream"],
                set_={"seq": seq},
                where=statement.excluded.seq > journal_acks.c.seq,
            )
        )

    def _wish(self, site: str, uid: str) -> RowMapping | None:
        return self.connection.execute(_WISH, {"its_site": site, "its_uid": uid}).mappings().first()

    def _next_cursor(self, site: str) -> int:
        """The site's row stays locked until we commit: cursors become visible in the order they were given out."""
        query = select(site_cursors.c.cursor).where(site_cursors.c.site == site)
        if self.locks:
            self.add(site_cursors, {"site": site, "cursor": 0})
            query = query.with_for_update()
        return (self.connection.execute(query).scalar() or 0) + 1


def _is(table: Any, site: str, uid: str) -> Any:
    return and_(table.c.site == site, table.c.uid == uid)


# Built once: loops ask for it all the time.
_WISH = select(wishes).where(wishes.c.site == bindparam("its_site"), wishes.c.uid == bindparam("its_uid"))


def _wish_row(stored: RowMapping) -> WishRow:
    order = stored["order"]
    return WishRow(
        site=stored["site"],
        uid=stored["uid"],
        generation=stored["generation"],
        cursor=stored["cursor"],
        order=None if order is None else json.loads(order),
        grant=stored["grant"],
    )
