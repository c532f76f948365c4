"""What a report changes: states, times, outputs as assets with lineage, MLflow; and what it never changes."""

from control_play import OWNER, WORKSPACE, bound_job, done
from ferryml.control import assets, datastores, jobs, lineage
from ferryml.domain.orders import DatastorePath, TreeRef
from ferryml.domain.statuses import JobPhaseTime, OutputResult

BOUND_TREE = TreeRef(digest="sha256:" + "b" * 64, size=3)


def test_the_whole_life_of_a_good_job(play):
    play.site()
    name = play.job(outputs={"m": {"type": "custom_model", "name": "net", "tags": {"a": "b"}}})["name"]
    assert play.shown(name)["status"] == "NotStarted"
    play.turns()
    assert play.shown(name)["status"] == "Queued"
    for version, phase in enumerate(("Preparing", "Starting", "Running", "Finalizing"), 1):
        play.reports("cloud", name, phase, version, times=(JobPhaseTime(phase=phase, at=play.dice.now()),))
        play.turns()
        assert play.shown(name)["status"] == phase
        assert phase in [time["phase"] for time in play.shown(name)["ferry"]["times"]]
    folder = play.folder({"w": b"weights"})
    play.reports("cloud", name, "Completed", 9, exit_code=0, outputs=done(m=folder, default=folder))
    play.turns()
    shown = play.shown(name)
    assert shown["status"] == "Completed"
    assert shown["ferry"]["outputs"]["m"]["asset"] == "model:net:1"
    model = assets.show(play.deps, OWNER, WORKSPACE, "model", "net", "@latest")
    assert (model["job_name"], model["tags"]) == (name, {"a": "b"})
    assert play.tracking.runs[shown["mlflow_run_id"]].status == "FINISHED"
    tombstone = play.wishes("cloud").wishes[0]
    assert tombstone.order is None
    graph = lineage.lineage(play.deps, OWNER, WORKSPACE, "model:net:1", "up")
    assert f"job:{name}" in [node["id"] for node in graph["nodes"]]


def test_a_failed_job_says_why_and_registers_nothing(play):
    play.site()
    name = play.running(outputs={"m": {"name": "net"}})
    folder = play.folder({"half": b"x"})
    play.reports(
        "cloud", name, "Failed", 2, exit_code=1, code="UserCodeFailed", reason="exit code 1",
        error_lines=("ValueError: no",), outputs=done(m=folder),
    )  # fmt: skip
    play.turns()
    shown = play.shown(name)
    assert (shown["status"], shown["ferry"]["reason"]) == ("Failed", "exit code 1")
    assert shown["ferry"]["outputs"]["m"]["tree"]["digest"] == folder.digest
    assert assets.list_assets(play.deps, OWNER, WORKSPACE, "data", None, "no", (0, 9))["items"] == []
    why = jobs.why(play.deps, OWNER, WORKSPACE, name)
    assert why["error_lines"] == ["ValueError: no"]
    assert "logs" in why["hints"][0]


def test_completed_waits_for_bytes_that_are_still_on_their_way(play):
    play.site()
    name = play.running(outputs={"m": None})
    files = {"w": b"late"}
    later = play.folder({"other": b"o"})
    missing = TreeRef(digest="sha256:" + "d" * 64, size=4)
    play.reports("cloud", name, "Completed", 2, outputs=done(m=missing, default=later))
    play.turns()
    assert play.shown(name)["status"] == "Finalizing"
    assert "waiting for its files to arrive" in play.shown(name)["ferry"]["reason"]
    assert play.tracking.runs[play.shown(name)["mlflow_run_id"]].status == "SCHEDULED"
    folder = play.folder(files)
    play.reports("cloud", name, "Completed", 3, outputs=done(m=folder))
    play.turns()
    assert play.shown(name)["status"] == "Completed"


def test_a_version_that_exists_is_a_note_and_not_a_failure(play):
    play.site()
    folder = play.folder({"w": b"w"})
    assets.create(
        play.deps, OWNER, WORKSPACE, "model", {"name": "net", "version": "7", "path": f"content:tree:{folder.digest}:m"}
    )
    name = play.running(outputs={"m": {"type": "custom_model", "name": "net", "version": "7"}})
    play.reports("cloud", name, "Completed", 2, outputs=done(m=folder))
    play.turns()
    shown = play.shown(name)
    assert shown["status"] == "Completed"
    assert any("AlreadyExists" in note for note in shown["ferry"]["notes"])


def test_terminal_is_terminal(play):
    play.site()
    name = play.running()
    play.reports("cloud", name, "Completed", 2)
    play.turns()
    play.reports("cloud", name, "Running", 3)
    play.turns()
    assert play.shown(name)["status"] == "Completed"


def test_outputs_of_bound_data_stay_bound_to_their_site(play):
    name = bound_job(play, m={"type": "uri_folder", "name": "features"})
    play.reports("onprem", name, "Completed", 1, outputs={"m": OutputResult(tree=BOUND_TREE, bound=True)})
    play.turns()
    shown = assets.show(play.deps, OWNER, WORKSPACE, "data", "features", "1")
    content = shown["ferry"]["content"]
    assert (content["site"], content["site_only"], content["zones"]) == ("onprem", True, ["onprem"])


def test_released_models_are_free(play):
    name = bound_job(play, release={"models": "allow"}, m={"type": "mlflow_model", "name": "net"})
    folder = play.folder({"MLmodel": b"x"})
    play.reports("onprem", name, "Completed", 1, outputs=done(m=folder))
    play.turns()
    content = assets.show(play.deps, OWNER, WORKSPACE, "model", "net", "1")["ferry"]["content"]
    assert (content["zones"], content["site_only"], content["job"]) == ([], False, name)


def test_outputs_on_a_datastore_are_known_by_their_place(play):
    play.site("onprem", "onprem", "c1", consent=True)
    datastores.create(
        play.deps, OWNER, WORKSPACE, {"name": "local", "type": "local", "root": "/data", "site": "onprem"}
    )
    name = play.job(
        outputs={"d": {"name": "table", "path": "azureml://datastores/local/paths/out/${{name}}"}}
    )["name"]  # fmt: skip
    play.turns()
    place = DatastorePath(datastore="local", kind="local", root="/data", path=f"out/{name}")
    assert play.wishes("onprem").wishes[0].order.outputs["d"].place.path == f"out/{name}"
    play.reports("onprem", name, "Completed", 1, outputs={"d": OutputResult(place=place)})
    play.turns()
    content = assets.show(play.deps, OWNER, WORKSPACE, "data", "table", "1")["ferry"]["content"]
    assert (content["site"], content["zones"], content["place"]["path"]) == ("onprem", ["onprem"], f"out/{name}")


def test_the_first_lock_is_kept_with_the_environment(play):
    play.site()
    assets.create(play.deps, OWNER, WORKSPACE, "environment", {"name": "env", "pip_requirements": ["numpy"]})
    name = play.running(environment="azureml:env:1")
    play.reports("cloud", name, "Running", 2, lock="numpy==2.0.0\n")
    play.turns()
    play.reports("cloud", name, "Running", 3, lock="numpy==2.1.0\n")
    play.turns()
    assert assets.show(play.deps, OWNER, WORKSPACE, "environment", "env", "1")["ferry"]["lock"] is True
    play.job(name="second", environment="azureml:env:1")
    play.turns()
    order = next(wish.order for wish in play.wishes("cloud").wishes if wish.uid.endswith("second"))
    assert order.environment.lock == "numpy==2.0.0\n"


def test_what_a_bound_job_printed_is_not_repeated(play):
    name = bound_job(play)
    play.reports(
        "onprem", name, "Failed", 1, exit_code=1, code="UserCodeFailed", reason="ValueError: row 1,2,3",
        error_lines=("ValueError: row 1,2,3",),
    )  # fmt: skip
    play.turns()
    assert "1,2,3" not in str(play.shown(name))
    assert "exit code 1" in play.shown(name)["ferry"]["reason"]
