"""The first shape: rows, link, logs, content and memory."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision: str | None = None

NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _rows()
    _link()
    _content()
    _memory()
    _epoch()


def _name(name: str, key: bool = False) -> sa.Column[str]:
    return sa.Column(name, NAME, primary_key=key, nullable=False)


def _text(name: str, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=nullable)


def _number(name: str, key: bool = False, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), primary_key=key, nullable=nullable)


def _flag(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean(), nullable=False)


def _serial(name: str) -> sa.Column[int]:
    return sa.Column(name, SERIAL, primary_key=True, autoincrement=True)


def _rows() -> None:
    op.create_table(
        "resources",
        _serial("seq"),
        *(_name(name) for name in ("kind", "workspace", "name", "version")),
        _text("spec"),
        _text("status"),
        _name("phase"),
        _name("parent"),
        _text("labels"),
        _text("created_by"),
        _flag("archived"),
        *(_number(name) for name in ("etag", "created_at", "updated_at")),
        sa.UniqueConstraint("kind", "workspace", "name", "version"),
        sqlite_autoincrement=True,
    )
    op.create_index("resources_by_phase", "resources", ["kind", "phase", "seq"])
    op.create_index("resources_by_parent", "resources", ["kind", "parent", "seq"])
    op.create_index("resources_by_workspace", "resources", ["kind", "workspace", "seq"])
    op.create_index("resources_by_name", "resources", ["kind", "workspace", "name", "seq"])


def _link() -> None:
    op.create_table("site_cursors", _name("site", key=True), _number("cursor"))
    op.create_table(
        "wishes",
        _name("site", key=True),
        _name("uid", key=True),
        _number("generation"),
        _number("cursor"),
        _text("order", nullable=True),
        _text("grant"),
        _flag("dropped"),
    )
    op.create_index("wishes_by_cursor", "wishes", ["site", "cursor"])
    op.create_table(
        "reports",
        _name("site", key=True),
        _name("uid", key=True),
        *(_number(name) for name in ("generation", "attempt", "version")),
        _text("body"),
        _number("pending", nullable=True),
    )
    op.create_index("reports_pending", "reports", ["pending"])
    op.create_table("journal_acks", _name("site", key=True), _name("stream", key=True), _number("seq"))


def _content() -> None:
    op.create_table(
        "log_files",
        _serial("id"),
        *(_name(name) for name in ("workspace", "owner", "path")),
        _number("size"),
        sa.UniqueConstraint("workspace", "owner", "path"),
    )
    op.create_table(
        "log_chunks",
        sa.Column("file", sa.BigInteger(), sa.ForeignKey("log_files.id", ondelete="CASCADE"), primary_key=True),
        _number("offset", key=True),
        sa.Column("data", sa.LargeBinary(), nullable=False),
    )
    op.create_table("blobs", *(_name(name, key=True) for name in ("workspace", "digest", "place")), _number("size"))
    op.create_table("paths", _name("workspace", key=True), _name("path", key=True), _name("digest"), _number("size"))


def _memory() -> None:
    for table in ("audit", "events"):
        op.create_table(
            table,
            _serial("seq"),
            _number("at"),
            _name("workspace"),
            _text("actor"),
            _text("verb"),
            _name("subject"),
            _text("details"),
            sqlite_autoincrement=True,
        )
        op.create_index(f"{table}_by_workspace", table, ["workspace", "seq"])
        op.create_index(f"{table}_by_subject", table, ["workspace", "subject", "seq"])
    op.create_table("edges", *(_name(name, key=True) for name in ("workspace", "source", "relation", "target")))
    op.create_index("edges_by_target", "edges", ["workspace", "target"])
    op.create_table("leases", _name("name", key=True), _text("holder"), _number("until"))
    op.create_table("facts", _name("name", key=True), _text("value"))


def _epoch() -> None:
    """A new database is a new epoch; the dice are the database's own."""
    dice = {"sqlite": "lower(hex(randomblob(8)))", "postgresql": "md5(gen_random_uuid()::text)"}
    op.execute(f"INSERT INTO facts (name, value) VALUES ('epoch', {dice[op.get_bind().dialect.name]})")  # noqa: S608  # no input
