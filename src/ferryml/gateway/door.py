"""Who may come in and what they may have: the gateway as the agent and its HTTP routes see it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as Late
from dataclasses import replace
from pathlib import Path

from ferryml.compile.tree import parse_tree, tree_bytes
from ferryml.domain.errors import Conflict, Forbidden, Refused, Unauthenticated, Unavailable
from ferryml.domain.link import Grant, OutputRecord
from ferryml.domain.orders import Tree, TreeRef
from ferryml.domain.residency import output_matter
from ferryml.domain.seen import Receipt
from ferryml.gateway.checkpoints import Checkpoints
from ferryml.gateway.database import Database
from ferryml.gateway.environments import IMAGE_UID, UID, Environments
from ferryml.gateway.grants import Grants, stays
from ferryml.gateway.journal import Caller, Journal
from ferryml.gateway.models import Models
from ferryml.gateway.pods import Pods
from ferryml.gateway.ranks import Ranks
from ferryml.gateway.runs import Runs
from ferryml.gateway.store import SiteStore
from ferryml.gateway.uplink import Uplink

MANIFEST_LIMIT = 64 << 20
REMEMBERED_GRANTS = 256
MODEL_WAIT_S = 5.0
_UIDS = {"job": "job.", "preparation": UID, "build": IMAGE_UID, "serving": "endpoint."}
"""Kind of a caller -> how the uids of its work begin."""


class Door:
    """`agent.ports.GatewayDoor`, and the same for callers with a token."""

    def __init__(
        self, grants: Grants, db: Database, journal: Journal, runs: Runs, store: SiteStore, uplink: Uplink,
        new_secret: Callable[[], str],
    ) -> None:  # fmt: skip
        self._grants, self._db, self._journal, self._runs = grants, db, journal, runs
        self._store, self._uplink, self._new_secret = store, uplink, new_secret
        self._pool = ThreadPoolExecutor(8, thread_name_prefix="ferry-fetch")
        self._contents: dict[str, frozenset[str]] = {}
        self._ranks, self._checkpoints = Ranks(db), Checkpoints(db, self._tree)
        self.models = Models(db, store)
        self.url = ""
        self.pods: Pods | None = None
        """On a cluster: who comes in with a service account's token."""
        self.environments: Environments | None = None
        self.logs_stay = False
        """The site's own wish for all its work, beside what residency binds."""

    # for the agent

    def admit(self, uid: str, attempt: int, grant: str, namespace: str = "") -> str:
        claims = self._grants.verify(grant, uid)
        token = self._new_secret()
        self._journal.admit(Caller(uid, attempt, claims.workspace, grant), hash_of(token))
        if claims.mlflow_run_id:
            self._runs.add(uid, claims.mlflow_run_id)
        return token

    def admit_pods(self, caller: Caller, namespace: str, prefix: str) -> None:
        """Lets the pods of an attempt in; those of older attempts are out. Raises Forbidden(BadGrant, StaleAttempt).

        A preparation comes under the grant of the job or endpoint that waits for it, and may read and write nothing of
        that one's. A build does, too, and fetches the one folder that its uid names. A serving pod fetches what its
        endpoint may, and writes nothing but records.
        """
        if self.pods is None:
            raise Refused("NotSupported", "this site has no pods")
        job = caller.kind == "job"
        if not caller.uid.startswith(_UIDS[caller.kind]):
            raise Refused("BadRequest", f"{caller.uid} is no {caller.kind}")
        claims = self._grants.verify(caller.grant, None if caller.kind in ("preparation", "build") else caller.uid)
        with self._db.transaction():
            self._journal.admit(replace(caller, workspace=claims.workspace), "")
            self.pods.admit(caller, namespace, prefix)
        if job and claims.mlflow_run_id:
            self._runs.add(caller.uid, claims.mlflow_run_id)

    def renew(self, uid: str, grant: str) -> None:
        self._journal.renew(uid, self._grants.verify(grant, uid).workspace, grant)

    def dismiss(self, uid: str) -> None:
        self._journal.dismiss(uid)

    def receipt(self, uid: str, attempt: int) -> Receipt | None:
        return self._journal.receipt(uid, attempt)

    def outputs(self, uid: str, attempt: int) -> dict[str, TreeRef]:
        found = self._journal.outputs(uid, attempt)
        so_far = self._checkpoints.of(uid, attempt)
        return {**so_far, **{name: result.tree for name, result in found.items() if result.tree is not None}}

    def lived(self, uid: str) -> int:
        return self._journal.lived(uid)

    def fetch(self, digest: str, grant: str) -> Path:
        claims = self._grants.verify(grant)
        if not self._granted(claims, digest):
            raise Forbidden("BadGrant", f"{digest} is not in the grant of {claims.uid}")
        return self._bring(digest, claims.workspace, grant)

    def model(self, key: str, grant: str) -> TreeRef:
        """A model that lies on a datastore, in the site store. Raises Unavailable while it is being fetched."""
        return self.models.find(self._grants.verify(grant), key, MODEL_WAIT_S)

    def append_log(self, uid: str, attempt: int, path: str, data: bytes) -> None:
        self.take_log(self._journal.stream(uid, attempt), path, None, data)

    # for callers with a token

    def who(self, token: str) -> Caller:
        """Raises Unauthenticated for tokens that are unknown or of an older attempt."""
        caller = self._journal.who(hash_of(token)) if token else None
        if caller is None and token and self.pods is not None:
            return self.pods.who(token)
        if caller is None:
            raise Unauthenticated("Unauthenticated", "this token opens nothing here; a newer attempt may own the job")
        return caller

    def grant_of(self, caller: Caller) -> Grant:
        if caller.kind == "build":
            return self._of_build(caller)
        return self._grants.verify(caller.grant, caller.uid)

    def _of_build(self, caller: Caller) -> Grant:
        """Of the grant under which it came nothing is left but the folder that it builds from."""
        claims = self._grants.verify(caller.grant)
        context = f"sha256:{caller.uid.removeprefix(IMAGE_UID).partition('.')[0]}"
        reads = tuple(digest for digest in claims.reads if digest == context)
        return Grant(
            iss=claims.iss, site=claims.site, uid=caller.uid, generation=claims.generation, kind=claims.kind,
            workspace=claims.workspace, name=claims.name, reads=reads, zones=claims.zones, release=claims.release,
        )  # fmt: skip

    def blob(self, caller: Caller, digest: str, wait_s: float) -> Path:
        """The bytes, fetched if need be. Raises Unavailable while a long fetch goes on."""
        if self.environments is not None and self.environments.has(digest):
            return self._store.path(digest)
        claims = self.grant_of(caller)
        if not self._granted(claims, digest):
            raise Forbidden("BadGrant", f"{digest} is not in the grant of {caller.uid}")
        if self._store.has(digest) and self._visible(digest, caller.workspace):
            return self._store.path(digest)
        fetch: Future[Path] = self._pool.submit(self._bring, digest, caller.workspace, caller.grant)
        try:
            return fetch.result(wait_s)
        except Late as error:
            have = self._store.fetched(digest)
            raise Unavailable(
                "Unavailable", f"{digest} is being fetched from the server: {have} bytes so far"
            ) from error

    def received(self, caller: Caller, digest: str) -> None:
        """The caller has shown that it holds these bytes."""
        self._see(digest, caller.workspace)

    def take_output(self, caller: Caller, name: str, tree: Tree, kind: str) -> tuple[TreeRef, int]:
        """Records a complete output; all its files must have been sent before. Returns (tree, journal seq)."""
        claims, (ref, tree) = self.grant_of(caller), self._taken(caller, name, tree)
        record = OutputRecord(name=name, tree=ref, bound=stays(claims, output_matter(kind)))
        blobs = tuple(dict.fromkeys((*(entry.digest for entry in tree.entries), ref.digest)))
        return ref, self._journal.add_output(caller, record, blobs)

    def take_checkpoint(self, caller: Caller, name: str, tree: Tree) -> TreeRef:
        """The same of an output so far, which stays on the site for the next attempt."""
        ref, _ = self._taken(caller, name, tree)
        self._checkpoints.keep(caller, name, ref)
        return ref

    def _taken(self, caller: Caller, name: str, tree: Tree) -> tuple[TreeRef, Tree]:
        """The output as all ranks have it so far."""
        if "outputs" not in self.grant_of(caller).writes:
            raise Forbidden("BadGrant", f"{caller.uid} has no outputs")
        missing = [e.digest for e in tree.entries if not self._visible(e.digest, caller.workspace)]
        missing += [e.digest for e in tree.entries if not self._store.has(e.digest)]
        if missing:
            raise Conflict("BlobMissing", f"{len(missing)} files of output {name} were not sent", "PUT them first.")
        digest, _ = self._store.put([tree_bytes(tree)])
        whole = self._ranks.joined(caller, name, digest, tree, self._tree)
        if whole is not tree:
            tree = whole
            digest, _ = self._store.put([tree_bytes(tree)])
        self._see(digest, caller.workspace)
        return TreeRef(digest=digest, kind="tree", size=sum(entry.size for entry in tree.entries)), tree

    def take_log(self, caller: Caller, path: str, offset: int | None, data: bytes) -> int:
        """Returns the file's size."""
        if caller.kind != "job":
            return (offset or 0) + len(data)  # the agent reads it from the pod
        claims = self.grant_of(caller)
        if "logs" not in claims.writes:
            raise Forbidden("BadGrant", f"{caller.uid} has no logs")
        return self._journal.append_log(caller, path, offset, data, held=self.logs_stay or stays(claims, "logs"))

    def complete(self, caller: Caller, exit_code: int, of: int = 1) -> int | None:
        """The receipt's number; None while other ranks of the `of` have not completed."""
        code = self._ranks.finish(caller, exit_code, of)
        if code is None:
            return None
        self._checkpoints.over(caller.uid, caller.attempt)
        return self._journal.complete(caller, code)

    def close_attempt(self, uid: str, attempt: int, exit_code: int) -> None:
        """Nobody of it can say anything more: what is here is all there will be."""
        code = self._ranks.exit_code(uid, attempt)
        self._journal.complete(self._journal.stream(uid, attempt), code or exit_code)

    def trim(self, limit: int) -> int:
        """Keeps the site store below `limit` bytes; what is bound here or not yet sent is never removed."""
        rows = self._db.rows("SELECT digest FROM pins")
        collected = self._db.rows("SELECT digest FROM collected")
        pinned = (
            {str(digest) for (digest,) in (*rows, *collected)}
            | self._journal.unsent_blobs()
            | self._checkpoints.digests()
            | self.models.digests()
        )
        return self._store.trim(limit, pinned)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
        self.models.close()

    def _bring(self, digest: str, workspace: str, grant: str) -> Path:
        if not self._visible(digest, workspace):
            if self._store.has(digest):
                # Another workspace brought it here: the server says whether this one may see it, too.
                self._uplink.size(digest, grant)
            else:
                self._store.fetch(digest, lambda offset: self._uplink.download(digest, grant, offset))
            self._see(digest, workspace)
        return self._store.fetch(digest, lambda offset: self._uplink.download(digest, grant, offset))

    def _tree(self, digest: str) -> Tree:
        return parse_tree(self._store.read(digest, MANIFEST_LIMIT))

    def _granted(self, grant: Grant, digest: str) -> bool:
        if digest in grant.reads:
            return True
        own = self._db.rows("SELECT DISTINCT tree FROM outputs WHERE uid = ?", grant.uid)
        own += self._db.rows("SELECT tree FROM checkpoints WHERE uid = ?", grant.uid)
        roots = [
            *grant.reads,
            *self.models.of(grant.uid),
            *(TreeRef.model_validate_json(str(tree)).digest for (tree,) in own),
        ]
        return digest in roots or any(digest in self._entries(root, grant.workspace) for root in roots)

    def _entries(self, root: str, workspace: str) -> frozenset[str]:
        """What a manifest names; nothing for files that are none, or that are not here yet."""
        if root not in self._contents:
            if not self._store.has(root) or not self._visible(root, workspace):
                return frozenset()
            while len(self._contents) >= REMEMBERED_GRANTS:
                self._contents.pop(next(iter(self._contents)))
            try:
                self._contents[root] = frozenset(entry.digest for entry in self._tree(root).entries)
            except Refused:
                self._contents[root] = frozenset()
        return self._contents[root]

    def _visible(self, digest: str, workspace: str) -> bool:
        sql = "SELECT 1 FROM visible WHERE digest = ? AND workspace = ?"
        return self._db.row(sql, digest, workspace) is not None

    def _see(self, digest: str, workspace: str) -> None:
        self._db.run("INSERT OR IGNORE INTO visible VALUES (?, ?)", digest, workspace)


def hash_of(token: str) -> str:
    """Tokens are random, so a plain hash is enough."""
    return hashlib.sha256(token.encode()).hexdigest()
