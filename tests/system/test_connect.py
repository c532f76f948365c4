"""Shells in running jobs, from the command line to the job's machine and back, over the site's outbound link."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import time

import pytest

from fixtures_site import Programs, wait_until

RUNNING = "echo ready; export SECRET=42; while [ ! -e let-go ]; do sleep 0.1; done; echo ended"


@pytest.fixture
def job(programs: Programs) -> Programs:
    programs.join(connect=True)
    programs.attach()
    programs.submit("open", RUNNING, environment_variables={"GREETING": "hello"})
    programs.settles("open", "Running")
    wait_until(lambda: programs.log("open") == "ready\n", 20)
    return programs


def argv(*words: str) -> list[str]:
    return [sys.executable, "-m", "ferryml.cli.main", "job", "connect", *words]


def env(programs: Programs) -> dict[str, str]:
    token = (programs.folder / "server" / "admin.token").read_text().strip()
    return {**os.environ, "FERRY_URL": programs.server.url, "FERRY_TOKEN": token}


def run(programs: Programs, *words: str, given: bytes = b"") -> tuple[int, bytes, bytes]:
    done = subprocess.run(argv(*words), input=given, capture_output=True, timeout=60, env=env(programs), check=False)
    return done.returncode, done.stdout, done.stderr


def test_a_command_runs_where_the_job_does(job: Programs) -> None:
    code, out, err = run(job, "open", "--", "sh", "-c", "echo $GREETING; echo no >&2; exit 7")
    assert (code, out, err) == (7, b"hello\n", b"no\n")
    every = bytes(range(256)) * 2000
    code, out, _ = run(job, "open", "--", "cat", given=every)
    assert (code, out == every) == (0, True), "bytes are bytes, and the input's end is told"
    code, _, err = run(job, "open", "--", "no-such-program")
    assert (code, b"could not be started" in err) == (255, True)
    with subprocess.Popen(argv("open", "--", "sh", "-c", "touch shell-is-there; sleep 100"), env=env(job)) as left:
        ready = ("open", "--", "sh", "-c", "while [ ! -e shell-is-there ]; do sleep 0.1; done; touch let-go")
        assert run(job, *ready)[0] == 0
        assert job.settles("open")["status"] == "Completed"
        assert left.wait(30) in (128 + 1, 255), "a shell ends with its job"
    audit = job.api.get("/workspaces/default/audit").json()["items"]
    asked = [each for each in audit if each["verb"] == "job.connect"]
    assert {each["subject"] for each in asked} == {"job:open"}
    assert asked[0]["details"]["command"][0] == "sh"


def test_a_terminal_is_one(job: Programs) -> None:
    child, ours = _terminal(job)
    try:
        assert b"36 99" in _until(ours, b"stty size; tty\n", b"/dev/")
        os.write(ours, b"sleep 100\n")
        time.sleep(1)
        _until(ours, b"\x03", b"")
        assert b"after\r\n" in _until(ours, b"echo af''ter\n", b"after\r\n"), "Ctrl-C went to the program there"
        os.write(ours, b"exit 3\n")
        assert child.wait(20) == 3
    finally:
        child.kill()
        os.close(ours)


def test_who_may_not_is_told(job: Programs) -> None:
    made = job.api.post("/workspaces/default/tokens", json={"name": "eve", "role": "data-scientist"})
    assert made.status_code == 201, made.text
    eve = {"Authorization": f"Bearer {made.json()['token']}"}
    path = "/workspaces/default/jobs/open/connections"
    said = job.api.post(path, json={}, headers=eve)
    assert (said.status_code, said.json()["error"]["code"]) == (403, "Forbidden")
    mine = job.api.post(path, json={"command": ["cat"]}).json()["id"]
    for method, way in (("GET", "out"), ("POST", "in")):
        theirs = job.api.request(method, f"/workspaces/default/connections/{mine}/{way}", json={}, headers=eve)
        assert theirs.status_code == 404
    assert job.api.delete(f"/workspaces/default/connections/{mine}").status_code == 204
    run(job, "open", "--", "touch", "let-go")
    job.settles("open")
    code, _, err = run(job, "open", "--", "true")
    assert (code, b"NotRunning" in err) == (1, True)


def test_a_site_allows_it_first(programs: Programs) -> None:
    programs.join()
    programs.attach()
    programs.submit("shut", RUNNING)
    programs.settles("shut", "Running")
    said = programs.api.post("/workspaces/default/jobs/shut/connections", json={})
    assert (said.status_code, said.json()["error"]["code"]) == (400, "NotSupported"), said.text


def _terminal(programs: Programs) -> tuple[subprocess.Popen[bytes], int]:
    import fcntl
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", 36, 99, 0, 0))
    known = {k: v for k, v in env(programs).items() if k not in ("COLUMNS", "LINES")}
    child = subprocess.Popen(
        argv("open", "--", "sh"), stdin=theirs, stdout=theirs, stderr=theirs, env=known, start_new_session=True
    )
    os.close(theirs)
    return child, ours


def _until(ours: int, say: bytes, wanted: bytes, within_s: float = 20) -> bytes:
    import select

    os.write(ours, say)
    heard, end = b"", time.monotonic() + within_s
    while not wanted or wanted not in heard:
        left = end - time.monotonic()
        if not wanted:
            left = min(left, 1.0)
        ready, _, _ = select.select([ours], [], [], max(0.0, left))
        if not ready:
            assert not wanted, heard
            return heard
        heard += os.read(ours, 65536)
    return heard
