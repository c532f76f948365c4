"""`ferry admin`: a memory saved and brought back."""

import json


def test_there_and_back(typed, desk, alone):
    from_here = str(desk.settings.state_dir)
    (desk.settings.state_dir / "mlflow.db").touch()
    said = typed("admin", "backup", "saved", "--state-dir", from_here)
    if said.code:  # MLflow's database is no SQLite file in this play
        assert said.err.startswith("Error: [")
        return
    assert json.loads(said.out)["members"] > 0
    assert typed("admin", "restore", "saved", "--state-dir", "fresh").code == 0


def test_what_is_no_backup_is_refused(typed, alone):
    (alone / "saved").mkdir()
    said = typed("admin", "restore", "saved", "--state-dir", "fresh")
    assert (said.code, said.err.split()[1]) == (1, "[BackupDamaged]"), said.err
