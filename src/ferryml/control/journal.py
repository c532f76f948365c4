"""What gateways pass on: logs, outputs and MLflow calls, applied in order, once, and only where residency lets them."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from ferryml.compile.tree import check_path
from ferryml.control import artifacts, collected, grants
from ferryml.control.context import Deps, Turn, turn
from ferryml.control.link import row_of
from ferryml.control.ports import Json, Row, Tx
from ferryml.domain.errors import FerryError, Forbidden, NotFound, Refused, Unavailable
from ferryml.domain.link import Grant, Journal, JournalAnswer, JournalEntry, LogChunk, MlflowCall, OutputRecord
from ferryml.domain.residency import check_entry

MAX_ENTRIES = 2000
MAX_GAP = 64 * 1024
TRIES = 3
"""Of an MLflow call that answers 500, which may be a busy database or a body that it will never take."""
PROVISIONAL = "ferry.provisional"
FENCE = "fence"
"""Journal acknowledgements under `fence/UID` hold the highest attempt that has written."""


@dataclass(frozen=True, slots=True)
class Stream:
    """All entries of one attempt in one request."""

    site: str
    uid: str
    attempt: int
    grant: Grant
    row: Row

    @property
    def key(self) -> str:
        return f"{self.uid}/{self.attempt}"

    @property
    def output_types(self) -> dict[str, str]:
        """Output -> its type, as asked."""
        order = self.row.status.get("order") or {}
        return {name: str(output.get("type", "")) for name, output in (order.get("outputs") or {}).items()}


@dataclass(slots=True)
class Answer:
    """What becomes of a request, entry by entry."""

    acknowledged: dict[str, int]
    results: dict[str, Json]
    refused: dict[str, Json]


def take(deps: Deps, site: str, journal: Journal) -> JournalAnswer:
    """Apply a batch.

    Entries of uids that the server does not know are neither taken nor refused: the site keeps them.
    """
    if len(journal.entries) > MAX_ENTRIES:
        raise Refused("LimitExceeded", f"more than {MAX_ENTRIES} entries in one request", "Send them in parts.")
    answer = Answer({}, {}, {})
    ordered = sorted(journal.entries, key=lambda entry: (entry.uid, entry.attempt, entry.seq))
    for (uid, attempt), group in groupby(ordered, key=lambda entry: (entry.uid, entry.attempt)):
        _take_stream(deps, site, uid, attempt, list(group), answer)
    return JournalAnswer(acknowledged=answer.acknowledged, results=answer.results, refused=answer.refused)


def _take_stream(deps: Deps, site: str, uid: str, attempt: int, entries: list[JournalEntry], answer: Answer) -> None:
    with deps.store.read() as tx:
        row, done = row_of(tx, uid, site), tx.journal_ack(site, f"{uid}/{attempt}")
        newest = tx.journal_ack(site, f"{FENCE}/{uid}")
    for grant, group in groupby(entries, key=lambda entry: entry.grant):
        some = list(group)
        try:
            claims = grants.verified(deps, grant, site)
            if claims.uid != uid:
                raise Forbidden("BadGrant", f"the grant is for {claims.uid}, not for {uid}")
            if row is None:
                continue
            if attempt < newest:
                raise Forbidden("StaleAttempt", f"attempt {newest} of {uid} writes now; attempt {attempt} is over")
        except Forbidden as error:
            _refuse(some, error, answer)
            _acknowledge(deps, site, f"{uid}/{attempt}", max(done, some[-1].seq), answer)
            continue
        stream = Stream(site, uid, attempt, claims, row)
        _fence(deps, stream, newest)
        fresh = [entry for entry in some if entry.seq > done]
        answer.acknowledged[stream.key] = max(done, answer.acknowledged.get(stream.key, 0))
        if not all(_apply(deps, stream, batch, answer) for batch in _batches(fresh)):
            return


def _batches(entries: list[JournalEntry]) -> Iterator[list[JournalEntry]]:
    """MLflow calls apart from the rest, for they leave our database; the rest shares a transaction."""
    for _, group in groupby(entries, key=lambda entry: isinstance(entry.item, MlflowCall)):
        yield list(group)


def _apply(deps: Deps, stream: Stream, batch: list[JournalEntry], answer: Answer) -> bool:
    """Take a batch; False when it ends early, for what is missing may still come."""
    through, whole = batch[-1].seq, True
    allowed = [entry for entry in batch if _allowed(stream, entry, answer)]
    if isinstance(batch[0].item, MlflowCall):
        stuck = _calls(deps, stream, allowed, answer)
        if stuck is not None:
            through, whole, allowed = stuck.seq - 1, False, []
    with turn(deps) as now:
        for entry in allowed:
            try:
                _keep(now, stream, entry)
            except Refused as error:
                _refuse([entry], error, answer)
        now.tx.set_journal_ack(stream.site, stream.key, through)
        now.wake(f"job:{stream.uid}")
    answer.acknowledged[stream.key] = max(through, answer.acknowledged.get(stream.key, 0))
    return whole


def _calls(deps: Deps, stream: Stream, entries: list[JournalEntry], answer: Answer) -> JournalEntry | None:
    """Replay MLflow calls; the one that must be tried again later, if any."""
    for entry in entries:
        try:
            _call(deps, stream, entry, entry.item, answer)  # type: ignore[arg-type]
        except NotFound as error:
            if error.code == "BlobMissing":
                return entry
            _refuse([entry], error, answer)
        except Refused as error:
            _refuse([entry], error, answer)
        except Unavailable:
            return entry
    return None


def _allowed(stream: Stream, entry: JournalEntry, answer: Answer) -> bool:
    recorded = "captures" if stream.row.kind == "endpoint" else "outputs"
    needed = {LogChunk: "logs", OutputRecord: recorded, MlflowCall: "mlflow"}[type(entry.item)]
    try:
        if needed not in stream.grant.writes:
            raise Forbidden("BadGrant", f"the grant of {stream.uid} does not let it write {needed}")
        check_entry(grants.residency(stream.grant), entry, stream.output_types)
    except Forbidden as error:
        _refuse([entry], error, answer)
        return False
    return True


def _keep(now: Turn, stream: Stream, entry: JournalEntry) -> None:
    item = entry.item
    if isinstance(item, LogChunk):
        _append(now.tx, stream, item)
    if isinstance(item, OutputRecord) and item.bound and not item.placed:
        now.tx.link_blob(stream.grant.workspace, item.tree.digest, item.tree.size, stream.site)
    if isinstance(item, OutputRecord) and stream.row.kind == "endpoint":
        collected.keep(now, stream.site, stream.grant, stream.row, item)


def _append(tx: Tx, stream: Stream, item: LogChunk) -> None:
    workspace, data = stream.grant.workspace, _decoded(item.data)
    path = check_path(item.path)
    have = dict(tx.list_logs(workspace, stream.uid)).get(path, 0)
    if item.offset > have:
        # After a restore the site no longer has what the server lost: say so, and keep what follows in its place.
        gap = item.offset - have
        note = f"\n[{gap} bytes were lost when the server was restored]\n".encode()
        start = have
        while start < item.offset:
            part = note.ljust(gap)[:gap] if gap <= MAX_GAP else note.ljust(MAX_GAP)[: min(MAX_GAP, item.offset - start)]
            start = tx.append_log(workspace, stream.uid, path, start, part)
    tx.append_log(workspace, stream.uid, path, item.offset, data)


def _call(deps: Deps, stream: Stream, entry: JournalEntry, item: MlflowCall, answer: Answer) -> None:
    """One MLflow write; provisional run ids of earlier answers are put in place first."""
    known = _runs(deps, stream.uid)
    if item.provisional and item.provisional in known:
        answer.results[f"{stream.key}/{entry.seq}"] = {"run": {"info": {"run_id": known[item.provisional]}}}
        return
    workspace, path = stream.grant.workspace, item.path
    if item.blob:
        artifacts.visible(deps, workspace, item.blob)
    body = b"".join(deps.blobs.read(item.blob)) if item.blob else _decoded(item.body)
    for provisional, real in known.items():
        path = path.replace(provisional, real)
        body = body if item.blob else body.replace(provisional.encode(), real.encode())
    if item.provisional:
        body = _marked(body, item.provisional)
    job = stream.row.name if stream.row.kind == "job" else ""
    status, said = _tried(deps, workspace, item.model_copy(update={"path": path}), body, job)
    if status >= 400:
        words = f"MLflow answered {status}: {said[:300].decode(errors='replace')}"
        raise Refused("BadRequest", words, "The call will not be repeated.", {"status": status})
    made = _made(said)
    answer.results[f"{stream.key}/{entry.seq}"] = made
    run = ((made or {}).get("run") or {}).get("info", {}).get("run_id", "") if isinstance(made, dict) else ""
    if item.provisional and run:
        _remember(deps, stream.uid, item.provisional, run)


def _tried(deps: Deps, workspace: str, item: MlflowCall, body: bytes, job: str) -> tuple[int, bytes]:
    for _ in range(TRIES):
        status, said = deps.tracking.call(workspace, item.method, item.path, item.content_type, body, job)
        if status in (429, 503):
            raise Unavailable("Unavailable", f"MLflow answered {status}", "Try again in a moment.")
        if status < 500:
            break
    return status, said


def _marked(body: bytes, provisional: str) -> bytes:
    """The body with the provisional id as a tag, by which a second replay finds the run of the first."""
    asked = _made(body)
    if not isinstance(asked, dict):
        return body
    given = asked.get("tags")
    tags = [tag for tag in given if tag.get("key") != PROVISIONAL] if isinstance(given, list) else []
    return json.dumps({**asked, "tags": [*tags, {"key": PROVISIONAL, "value": provisional}]}).encode()


def _runs(deps: Deps, uid: str) -> dict[str, str]:
    with deps.store.read() as tx:
        row = tx.get("setting", "", f"runs.{uid}")
    return dict(row.spec) if row else {}


def _remember(deps: Deps, uid: str, provisional: str, run: str) -> None:
    name = f"runs.{uid}"
    with turn(deps) as now:
        row = now.tx.get("setting", "", name)
        if row is None:
            now.tx.insert(Row(kind="setting", name=name, spec={provisional: run}))
        else:
            now.tx.update(row.model_copy(update={"spec": {**row.spec, provisional: run}}))


def _fence(deps: Deps, stream: Stream, newest: int) -> None:
    if stream.attempt > newest:
        with turn(deps) as now:
            now.tx.set_journal_ack(stream.site, f"{FENCE}/{stream.uid}", stream.attempt)


def _acknowledge(deps: Deps, site: str, key: str, seq: int, answer: Answer) -> None:
    with turn(deps) as now:
        now.tx.set_journal_ack(site, key, seq)
    answer.acknowledged[key] = seq


def _refuse(entries: list[JournalEntry], error: FerryError, answer: Answer) -> None:
    for entry in entries:
        answer.refused[f"{entry.uid}/{entry.attempt}/{entry.seq}"] = error.as_dict()


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refused("BadRequest", "journal data is not base64") from error


def _made(said: bytes) -> Any:
    try:
        return json.loads(said)
    except ValueError:
        return None
