"""The shape of what the server remembers, the same on SQLite and PostgreSQL.

JSON is kept as text: PostgreSQL's own JSON types refuse what users' programs may print (NUL characters). Moments are
whole microseconds since 1970 UTC, so that both databases compare and sort them alike.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

# Ranges over paths and names must follow bytes, not the language of whoever ran initdb.
Name = Text().with_variant(Text(collation="C"), "postgresql")
# SQLite makes only a plain INTEGER primary key count by itself.
Serial = BigInteger().with_variant(Integer(), "sqlite")

metadata = MetaData()

resources = Table(
    "resources",
    metadata,
    Column("seq", Serial, primary_key=True, autoincrement=True),
    Column("kind", Name, nullable=False),
    Column("workspace", Name, nullable=False),
    Column("name", Name, nullable=False),
    Column("version", Name, nullable=False),
    Column("spec", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("phase", Name, nullable=False),
    Column("parent", Name, nullable=False),
    Column("labels", Text, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("archived", Boolean, nullable=False),
    Column("etag", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    UniqueConstraint("kind", "workspace", "name", "version"),
    Index("resources_by_phase", "kind", "phase", "seq"),
    Index("resources_by_parent", "kind", "parent", "seq"),
    Index("resources_by_workspace", "kind", "workspace", "seq"),
    Index("resources_by_name", "kind", "workspace", "name", "seq"),
    sqlite_autoincrement=True,
)

site_cursors = Table(
    "site_cursors",
    metadata,
    Column("site", Name, primary_key=True),
    Column("cursor", BigInteger, nullable=False),
)

wishes = Table(
    "wishes",
    metadata,
    Column("site", Name, primary_key=True),
    Column("uid", Name, primary_key=True),
    Column("generation", BigInteger, nullable=False),
    Column("cursor", BigInteger, nullable=False),
    Column("order", Text),
    Column("grant", Text, nullable=False),
    # A dropped wish keeps its row: a uid that comes back must not start again at generation 1.
    Column("dropped", Boolean, nullable=False),
    Index("wishes_by_cursor", "site", "cursor"),
)

reports = Table(
    "reports",
    metadata,
    Column("site", Name, primary_key=True),
    Column("uid", Name, primary_key=True),
    Column("generation", BigInteger, nullable=False),
    Column("attempt", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    # When it came in; empty once it was handled.
    Column("pending", BigInteger),
    Index("reports_pending", "pending"),
)

journal_acks = Table(
    "journal_acks",
    metadata,
    Column("site", Name, primary_key=True),
    Column("stream", Name, primary_key=True),
    Column("seq", BigInteger, nullable=False),
)

log_files = Table(
    "log_files",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("workspace", Name, nullable=False),
    Column("owner", Name, nullable=False),
    Column("path", Name, nullable=False),
    Column("size", BigInteger, nullable=False),
    UniqueConstraint("workspace", "owner", "path"),
)

log_chunks = Table(
    "log_chunks",
    metadata,
    Column("file", BigInteger, ForeignKey("log_files.id", ondelete="CASCADE"), primary_key=True),
    Column("offset", BigInteger, primary_key=True),
    Column("data", LargeBinary, nullable=False),
)

blobs = Table(
    "blobs",
    metadata,
    Column("workspace", Name, primary_key=True),
    Column("digest", Name, primary_key=True),
    Column("place", Name, primary_key=True),
    Column("size", BigInteger, nullable=False),
)

paths = Table(
    "paths",
    metadata,
    Column("workspace", Name, primary_key=True),
    Column("path", Name, primary_key=True),
    Column("digest", Name, nullable=False),
    Column("size", BigInteger, nullable=False),
)


def _entries(name: str) -> Table:
    return Table(
        name,
        metadata,
        Column("seq", Serial, primary_key=True, autoincrement=True),
        Column("at", BigInteger, nullable=False),
        Column("workspace", Name, nullable=False),
        Column("actor", Text, nullable=False),
        Column("verb", Text, nullable=False),
        Column("subject", Name, nullable=False),
        Column("details", Text, nullable=False),
        Index(f"{name}_by_workspace", "workspace", "seq"),
        Index(f"{name}_by_subject", "workspace", "subject", "seq"),
        sqlite_autoincrement=True,
    )


audit = _entries("audit")
events = _entries("events")

edges = Table(
    "edges",
    metadata,
    Column("workspace", Name, primary_key=True),
    Column("source", Name, primary_key=True),
    Column("relation", Name, primary_key=True),
    Column("target", Name, primary_key=True),
    Index("edges_by_target", "workspace", "target"),
)

leases = Table(
    "leases",
    metadata,
    Column("name", Name, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("until", BigInteger, nullable=False),
)

facts = Table(
    "facts",
    metadata,
    Column("name", Name, primary_key=True),
    Column("value", Text, nullable=False),
)
