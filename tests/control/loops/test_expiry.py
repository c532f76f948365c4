"""What nobody comes back for goes away; what is fresh stays."""

import os

from control_play import OWNER, WORKSPACE, Play
from ferryml.control import artifacts, history
from ferryml.control.loops import expiry

DIGEST = "sha256:" + "0" * 64


def test_only_old_uploads_go(play):
    started = artifacts.start(play.deps, OWNER, WORKSPACE, DIGEST, 10)
    upload = artifacts.opened(play.deps, started["id"], WORKSPACE, OWNER.token)
    artifacts.append(play.deps, upload, 0, [b"abc"])
    part = next(path for path in play.settings.state_dir.rglob(f"*{upload.spool}*") if path.is_file())
    now = play.dice.now().timestamp()
    for path in part.parent.iterdir():
        os.utime(path, (now, now))
    assert expiry.tick(play.deps) == 0
    play.dice.passes(play.settings.upload_ttl_s + 60)
    assert expiry.tick(play.deps) == 1
    assert artifacts.start(play.deps, OWNER, WORKSPACE, DIGEST, 10)["offset"] == 0


def test_audit_rows_go_when_they_are_old_and_only_if_asked(tmp_path):
    play = Play(tmp_path, audit_keep_days=30)
    play.dice.passes(29 * 86400)
    assert expiry.tick(play.deps) == 0
    play.dice.passes(2 * 86400)
    assert expiry.tick(play.deps) == 1
    assert history.audit(play.deps, OWNER, WORKSPACE, (0, 9))["items"] == []
    play.close()
