"""What a deployment becomes: flavour, environment, residency and lineage, decided before anything is written."""

import pytest

from control_play import OWNER, WORKSPACE, bound_job, done
from ferryml.compile.serving import SERVER
from ferryml.control import assets, datastores, deployment_orders
from ferryml.domain.errors import FerryError
from ferryml.domain.spec.deployment import OnlineDeployment
from site_answers import a_cluster
from site_answers import attach as attach_cluster

MLFLOW = {
    "MLmodel": b"flavors: {}",
    "requirements.txt": b"mlflow==3.1\nscikit-learn\n",
    "python_env.yaml": b"python: 3.11.4\n",
}


def resolve(play, compute: str = "c1", **fields):
    spec = OnlineDeployment.model_validate({"type": "local", "name": "blue", **fields})
    return deployment_orders.resolve(play.deps, WORKSPACE, "digits", compute, spec)


def refused(play, **fields) -> str:
    with pytest.raises(FerryError) as caught:
        resolve(play, **fields)
    return caught.value.code


def code(play) -> dict[str, str]:
    return {"code": f"content:tree:{play.folder({'score.py': b'x'}).digest}:", "scoring_script": "score.py"}


def model(
    play, name: str = "m", files: dict[str, bytes] | None = None, kind: str = "custom_model", folder: str = "model"
) -> str:
    path = f"content:tree:{play.folder(files or {'m.pkl': b'x'}).digest}:{folder}"
    assets.create(play.deps, OWNER, WORKSPACE, "model", {"name": name, "path": path, "type": kind})
    return f"azureml:{name}:1"


PIP = {"pip_requirements": ["numpy"]}


def test_a_script_with_a_model(play):
    play.site()
    made = resolve(play, model=model(play), code_configuration=code(play), environment=PIP)
    revision = made.revision
    assert (revision.flavor, revision.model_name, revision.model.name) == ("script", "model:m:1", "model")
    assert revision.environment.pip == ("numpy", SERVER)
    node = f"deployment:digits/blue:{revision.revision}"
    assert {edge.target for edge in made.edges} == {node}
    sources = {edge.relation: edge.source for edge in made.edges}
    assert sources["deployed"] == "model:m:1"
    assert sources["code"].startswith("code:")
    assert sources["environment"].startswith("environment:anonymous:")


def test_an_mlflow_model_needs_nothing_else(play):
    play.site()
    revision = resolve(play, model=model(play, files=MLFLOW, kind="mlflow_model")).revision
    assert revision.flavor == "mlflow"
    assert revision.environment.pip == ("mlflow==3.1", "scikit-learn", SERVER)
    assert revision.environment.python == "3.11"


def test_an_mlflow_model_with_a_conda_file_only(play):
    play.site()
    conda = b"dependencies:\n- python=3.10.4\n- pip:\n  - mlflow\n  - numpy==1.26.0\n"
    files = {"MLmodel": b"{}", "conda.yaml": conda}
    revision = resolve(play, model=model(play, files=files, kind="mlflow_model")).revision
    assert revision.environment.pip == ("mlflow", "numpy==1.26.0", SERVER)
    broken = {"MLmodel": b"{}", "conda.yaml": b"a: [b"}
    assert refused(play, model=model(play, "n", broken, "mlflow_model")) == "BadYaml"


def test_an_mlflow_model_that_is_none(play):
    play.site()
    assert refused(play, model=model(play, kind="mlflow_model")) == "BadArgument"


def test_nothing_says_how_to_serve(play):
    play.site()
    assert refused(play, model=model(play), environment=PIP) == "BadArgument"
    assert refused(play) == "MissingField"
    assert refused(play, code_configuration=code(play)) == "MissingField"


def test_triton_is_not_for_local_sites(play):
    play.site()
    assert refused(play, model=model(play, kind="triton_model")) == "NotSupported"


def test_a_custom_program_is_told_how_to_start(play):
    play.site()
    route = {"port": 8501, "path": "/score"}
    environment = {
        "image": "server:1",
        "inference_config": {"liveness_route": route, "readiness_route": route, "scoring_route": route},
    }
    assert refused(play, environment=environment) == "BadArgument"
    revision = resolve(play, environment=environment, command="serve $PORT").revision
    assert (revision.flavor, revision.environment.scoring) == ("custom", "8501/score")
    assert SERVER not in revision.environment.pip


def test_an_inline_model(play):
    play.site()
    path = f"content:file:{play.upload(b'weights')}:weights.bin"
    made = resolve(
        play, model={"path": path, "name": "w", "version": 3}, code_configuration=code(play), environment=PIP
    )
    assert (made.revision.model.kind, made.revision.model.name, made.revision.model_name) == (
        "file",
        "weights.bin",
        "model:w:3",
    )


def test_a_model_of_a_job_leads_back_to_it(play):
    play.site()
    name = play.running(outputs={"model": {"type": "custom_model"}})
    tree = play.folder({"m.pkl": b"x"})
    play.reports("cloud", name, "Completed", version=2, outputs=done(model=tree))
    play.turns()
    made = resolve(
        play, model={"path": f"azureml://jobs/{name}/outputs/model"}, code_configuration=code(play), environment=PIP
    )
    assert [edge.source for edge in made.edges if edge.relation == "deployed"] == [f"job:{name}"]


def _bound_model(play, release=None) -> str:
    name = bound_job(play, release, model={"type": "mlflow_model", "name": "bound"})
    tree = play.folder(MLFLOW)
    bound = {"model": done(model=tree)["model"].model_copy(update={"bound": not release})}
    play.reports("onprem", name, "Completed", outputs=bound)
    play.turns()
    return "azureml:bound:1"


def test_a_bound_model_stays_in_its_zone(play):
    ref = _bound_model(play)
    play.site("cloud", compute="c2")
    fields = {"model": ref, "code_configuration": code(play), "environment": PIP}
    with pytest.raises(FerryError) as caught:
        resolve(play, "c2", **fields)
    assert caught.value.code in ("ResidencyViolation", "BadReference")
    revision = resolve(play, "c1", **fields).revision
    assert (revision.residency.zones, revision.site_only) == (("onprem",), True)


def test_what_a_bound_model_asks_for_is_left_to_its_site(play):
    assert resolve(play, model=_bound_model(play)).revision.environment.key == ""


def test_a_released_model_serves_anywhere(play):
    ref = _bound_model(play, {"models": "allow"})
    play.site("cloud", compute="c2")
    revision = resolve(play, "c2", model=ref).revision
    assert (revision.residency.zones, revision.site_only) == ((), False)


def test_revisions_have_names_of_their_own(play):
    play.site()
    fields = {"model": model(play), "code_configuration": code(play), "environment": PIP}
    assert resolve(play, **fields).revision.revision != resolve(play, **fields).revision.revision
    assert len(resolve(play, **fields).revision.revision) == 10


def on_cluster(play):
    """A compute `kc`."""
    a_cluster(play)
    attach_cluster(play)


def test_triton_needs_no_environment_on_a_cluster(play):
    on_cluster(play)
    repository = model(play, files={"m/config.pbtxt": b"x"}, kind="triton_model")
    revision = resolve(play, "kc", model=repository).revision
    assert (revision.flavor, "tritonserver" in revision.environment.image) == ("triton", True)


def test_an_environment_asset_may_say_how_its_container_is_asked(play):
    on_cluster(play)
    route = {"port": 8501, "path": "/v1/models/m"}
    routes = dict.fromkeys(("liveness_route", "readiness_route", "scoring_route"), route)
    asset = {"name": "tf", "image": "tensorflow/serving:2", "inference_config": routes}
    assets.create(play.deps, OWNER, WORKSPACE, "environment", asset)
    revision = resolve(play, "kc", model=model(play), environment="azureml:tf:1").revision
    assert (revision.flavor, revision.environment.scoring) == ("custom", "8501/v1/models/m")


def test_resources_beyond_the_instance_type_are_refused_at_once(play):
    on_cluster(play)
    much = {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "1", "memory": "64Gi"}}
    common = {"compute": "kc", "code_configuration": code(play), "environment": PIP}
    assert refused(play, **common, resources=much) == "BadArgument"
    little = {"requests": {"cpu": "200m", "memory": "200Mi"}}
    assert resolve(play, **common, resources=little).revision.resources["requests"] == little["requests"]


def test_a_script_may_collect_and_a_model_alone_cannot(play):
    play.site()
    collects = {"data_collector": {"collections": {"model_inputs": {"enabled": True}}}}
    made = resolve(play, model=model(play), code_configuration=code(play), environment=PIP, **collects)
    assert made.revision.collect.script == {"model_inputs": 1.0}
    assert refused(play, model=model(play, "f", MLFLOW, "mlflow_model"), **collects) == "NotSupported"


def on_datastore(play, backend="local", kind="custom_model", **fields):
    place = {"name": "shelf", "type": "local", "root": "/data", "site": "cloud", **fields}
    datastores.create(play.deps, OWNER, WORKSPACE, {key: value for key, value in place.items() if value})
    path = "azureml://datastores/shelf/paths/models/digits"
    assets.create(play.deps, OWNER, WORKSPACE, "model", {"name": "m", "path": path, "type": kind})
    return "azureml:m:1"


def test_a_model_on_a_datastore_is_served_where_the_site_reads_it(play):
    play.site(zone="eu", consent=True)
    named = on_datastore(play)
    made = resolve(play, model=named, code_configuration=code(play), environment=PIP)
    revision = made.revision
    assert (revision.model, revision.model_name, revision.model_source.key) == (None, "model:m:1", "model:m:1")
    assert (revision.model_source.place.root, revision.model_source.place.path) == ("/data", "models/digits")
    assert revision.residency.zones == ("eu",)
    assert {edge.relation: edge.source for edge in made.edges}["deployed"] == "model:m:1"
    inline = {"path": "azureml://datastores/shelf/paths/x", "type": "custom_model"}
    made = resolve(play, model=inline, code_configuration=code(play), environment=PIP)
    assert made.revision.model_source.key == f"revision:{made.revision.revision}"


def test_only_its_files_say_what_an_mlflow_model_on_a_datastore_needs(play):
    play.site(consent=True)
    revision = resolve(play, model=on_datastore(play, kind="mlflow_model")).revision
    assert (revision.flavor, revision.environment.key) == ("mlflow", "")


def test_models_that_the_site_cannot_or_must_not_read_are_refused(play):
    play.site(zone="eu")
    play.site("onprem", zone="onprem", compute="c2")
    fields = {"model": on_datastore(play), "code_configuration": code(play), "environment": PIP}
    assert refused(play, compute="c2", **fields) == "ResidencyViolation"
    bucket = {"name": "bucket", "type": "s3", "bucket": "b"}
    datastores.create(play.deps, OWNER, WORKSPACE, bucket)
    fields["model"] = {"path": "azureml://datastores/bucket/paths/x", "type": "custom_model"}
    assert refused(play, **fields) == "NotSupported"
    fields["model"] = {"path": "https://example.com/m.pkl", "type": "custom_model"}
    assert refused(play, **fields) == "NotSupported"
