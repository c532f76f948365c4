"""`ferry admin`: a memory saved and brought back."""

import json
import sqlite3


def test_there_and_back(typed, desk, alone):
    from_here = str(desk.settings.state_dir)
    sqlite3.connect(desk.settings.state_dir / "mlflow.db").close()  # the play has no MLflow
    said = typed("admin", "backup", "saved", "--state-dir", from_here)
    assert said.code == 0, said.err
    assert json.loads(said.out)["members"] > 0
    assert typed("admin", "restore", "saved", "--state-dir", "fresh").code == 0


def test_what_is_no_backup_is_refused(typed, alone):
    (alone / "saved").mkdir()
    said = typed("admin", "restore", "saved", "--state-dir", "fresh")
    assert (said.code, said.err.split()[1]) == (1, "[BackupDamaged]"), said.err


def test_a_key_for_several_replicas(typed):
    assert '"sealing"' in typed("admin", "key").out
