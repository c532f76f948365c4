"""A site without processes: a machine whose jobs run by being told to, behind the real agent's ports."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ferryml.domain.errors import Forbidden
from ferryml.domain.link import Wish
from ferryml.domain.orders import EnvironmentOrder, JobOrder, TreeRef
from ferryml.domain.seen import EnvSeen, JobSeen, Launch, Receipt

T0 = datetime(2024, 5, 1, tzinfo=UTC)


class PlayClock:
    """Time that passes only when told."""

    def __init__(self) -> None:
        self.at = T0

    def __call__(self) -> datetime:
        return self.at

    def passes(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@dataclass
class PlayMachine:
    """A JobBackend. What it holds survives the agent, as processes do; `launched` counts starts of each attempt."""

    attempts: dict[tuple[str, int], JobSeen] = field(default_factory=dict)
    environments: dict[str, EnvSeen] = field(default_factory=dict)
    launches: list[Launch] = field(default_factory=list)
    killed: list[tuple[str, int]] = field(default_factory=list)
    cleaned: list[str] = field(default_factory=list)
    news: Collection[str] | None = None
    """Of which uids something was heard; None: it does not say."""

    def tend(self) -> Collection[str] | None:
        news, self.news = self.news, self.news if self.news is None else set()
        return news

    def prepare(self, env: EnvironmentOrder, uid: str = "", grant: str = "") -> None:
        self.environments[env.key] = EnvSeen(state="ready", python="/python", lock="a==1")

    def environment(self, key: str) -> EnvSeen:
        return self.environments.get(key, EnvSeen())

    def launch(self, launch: Launch) -> None:
        key = (launch.uid, launch.attempt)
        if key not in self.attempts:
            self.launches.append(launch)
            self.attempts[key] = JobSeen(state="running")
        live = [k for k, job in self.attempts.items() if k[0] == launch.uid and job.live]
        assert len(live) <= 1, f"two live attempts: {live}"

    def observe(self, uid: str, attempt: int) -> JobSeen:
        return self.attempts.get((uid, attempt), JobSeen())

    def kill(self, uid: str, attempt: int, grace_s: float) -> None:
        self.killed.append((uid, attempt))
        if self.observe(uid, attempt).live:
            self.attempts[uid, attempt] = JobSeen(state="exited", exit_code=143, outputs_done=True)

    def clean(self, uid: str) -> None:
        assert not any(job.live for key, job in self.attempts.items() if key[0] == uid)
        self.cleaned.append(uid)
        self.attempts = {key: job for key, job in self.attempts.items() if key[0] != uid}

    def list(self) -> list[tuple[str, int]]:
        return sorted(self.attempts)

    def ends(self, uid: str, exit_code: int = 0) -> None:
        for key, job in self.attempts.items():
            if key[0] == uid and job.live:
                self.attempts[key] = JobSeen(state="exited", exit_code=exit_code, outputs_done=True)

    def loses(self, uid: str) -> None:
        for key, job in self.attempts.items():
            if key[0] == uid and job.live:
                self.attempts[key] = JobSeen(state="lost", message="the host restarted")


@dataclass
class PlayGateway:
    """A GatewayDoor that has received everything at once."""

    machine: PlayMachine
    url: str = "http://127.0.0.1:1"
    admitted: list[tuple[str, int]] = field(default_factory=list)
    dismissed: list[str] = field(default_factory=list)
    logs: dict[tuple[str, str], bytes] = field(default_factory=dict)
    forwarded: bool = True
    forged: set[str] = field(default_factory=set)
    heard_of: dict[str, int] = field(default_factory=dict)
    """uid -> newest attempt that said anything in a life that the ledger does not remember."""

    def lived(self, uid: str) -> int:
        return self.heard_of.get(uid, 0)

    def admit(self, uid: str, attempt: int, grant: str, namespace: str = "") -> str:
        if grant in self.forged:
            raise Forbidden("BadGrant", "forged")
        self.admitted.append((uid, attempt))
        return f"token-{uid}-{attempt}-{len(self.admitted)}"

    def renew(self, uid: str, grant: str) -> None:
        if grant in self.forged:
            raise Forbidden("BadGrant", "forged")

    def dismiss(self, uid: str) -> None:
        self.dismissed.append(uid)

    def receipt(self, uid: str, attempt: int) -> Receipt | None:
        job = self.machine.observe(uid, attempt)
        if job.state != "exited":
            return None
        return Receipt(seq=1, exit_code=job.exit_code, forwarded=self.forwarded, waiting=0 if self.forwarded else 1)

    def outputs(self, uid: str, attempt: int) -> dict[str, TreeRef]:
        return {"checkpoints": TreeRef(digest="sha256:" + f"{attempt:064x}")}

    def fetch(self, digest: str, grant: str) -> Path:
        raise NotImplementedError

    def model(self, key: str, grant: str) -> TreeRef:
        raise NotImplementedError

    def append_log(self, uid: str, attempt: int, path: str, data: bytes) -> None:
        self.logs[uid, path] = self.logs.get((uid, path), b"") + data


def a_job(name: str = "j", **changes: object) -> JobOrder:
    order = JobOrder(workspace="w", name=name, compute="c", command="x", environment=EnvironmentOrder(key="e1"))
    return order.model_copy(update=changes)


def a_wish(order: JobOrder | None, uid: str = "job.w.j", generation: int = 1, cursor: int = 1) -> Wish:
    return Wish(uid=uid, generation=generation, cursor=cursor, order=order, grant=f"grant-{generation}")
