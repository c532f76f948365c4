"""What `--local` asks of documents, and when its private server is started and ended; the rest is in tests/system."""

import fcntl

import pytest

from ferryml.cli import at_home
from ferryml.cli.kit import Shared
from ferryml.cli.local import LocalState, home
from ferryml.domain.errors import NotFound, Refused
from ferryml.sdk.load import load_deployment, load_endpoint

SCRIPT = "name: blue\ntype: kubernetes\ncode_configuration: {code: ., scoring_script: score.py}\n"
PACKAGES = "environment: {pip_requirements: [numpy]}\n"


@pytest.fixture
def document(alone):
    (alone / "score.py").write_text("def init(): ...\ndef run(raw): return raw")

    def made(text):
        (alone / "d.yml").write_text(SCRIPT + text)
        return load_deployment(alone / "d.yml")

    return made


@pytest.fixture
def folder(alone):
    made = home({}).folder
    made.mkdir(parents=True)
    return made


def test_an_endpoint_is_taken_from_its_cluster(alone):
    (alone / "e.yml").write_text(
        "name: ep1\ncompute: azureml:far\nauth_mode: aml_token\nidentity: {type: system_assigned}"
    )
    made = at_home.endpoint(load_endpoint(alone / "e.yml"))
    assert (made.name, made.compute, made.auth_mode, made.identity) == ("ep1", None, "key", None)
    (alone / "e.yml").write_text("name: ep1\nmirror_traffic: {blue: 10}")
    with pytest.raises(Refused, match="one deployment"):
        at_home.endpoint(load_endpoint(alone / "e.yml"))


def test_a_deployment_is_one_instance_and_its_records_have_no_place_elsewhere(document):
    more = "instance_count: 3\ninstance_type: gpu\nscale_settings: {max_instances: 9}\n"
    placed = "{enabled: true, data: {path: 'azureml://datastores/far/paths/x'}}"
    collector = f"data_collector: {{collections: {{model_inputs: {placed}}}}}\n"
    made = at_home.deployment(document(PACKAGES + more + collector))
    assert (made.instance_count, made.instance_type, made.scale_settings) == (1, None, None)
    kept = made.data_collector.collections["model_inputs"]
    assert (kept.enabled, kept.data) == (True, None)
    assert at_home.deployment(document("environment: azureml:AzureML-sklearn-1.5@latest\n"))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"model: azureml:churn:3\n{PACKAGES}", "model azureml:churn:3"),
        (f"model: {{path: 'azureml://jobs/j/outputs/model'}}\n{PACKAGES}", "model.path azureml://jobs/j"),
        ("environment: azureml:mine:2\n", "environment azureml:mine:2"),
    ],
)
def test_what_only_a_workspace_has_is_refused(document, text, told):
    with pytest.raises(Refused, match=told) as caught:
        at_home.deployment(document(text))
    assert caught.value.code == "NotSupported"


def test_code_of_a_workspace_is_refused(alone):
    (alone / "d.yml").write_text(f"{SCRIPT.replace('code: .', 'code: azureml:c:1')}{PACKAGES}")
    with pytest.raises(Refused, match="code_configuration"):
        at_home.deployment(load_deployment(alone / "d.yml"))


def test_nothing_is_started_to_look_at_nothing(alone):
    assert at_home.listed(Shared(), True, dict) == []
    with pytest.raises(NotFound, match="no local endpoints"):
        at_home.enter(Shared(), True)
    assert not home({}).folder.exists()
    at_home.enter(Shared(), False)


def test_without_the_extras_it_says_what_to_install(alone, monkeypatch):
    monkeypatch.setattr("ferryml.cli.programs.NEEDED", ("no_such_library",))
    shared = Shared()
    with shared.ends, pytest.raises(Refused, match="no_such_library") as caught:
        at_home.enter(shared, True, starts=True)
    assert caught.value.hint == "pip install 'ferryml[server,agent]'"


def test_settings_of_real_programs_stay_outside(folder, monkeypatch):
    begun = {}

    def begin(state, options, environ):
        begun.update(environ)
        (state.folder / "url").write_text("http://127.0.0.1:9")

    monkeypatch.setattr("ferryml.cli.up.begin", begin)
    for name in ("FERRY_SERVER_TLS_CERT", "FERRY_ROUTER_ALLOW_INSECURE", "FERRY_SETTINGS", "FERRY_SITE_PYTHON"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("FERRY_SITE_ROUTER_HOST", "0.0.0.0")
    shared = Shared()
    with shared.ends:
        at_home.enter(shared, True, starts=True)
        assert (shared.client.target.url, shared.client.workspace) == ("http://127.0.0.1:9", "default")
        shared.close()
    mine = {name: text for name, text in begun.items() if name.startswith("FERRY_")}
    assert mine.pop("FERRY_CONFIG")
    assert mine == {**at_home.PRIVATE, "FERRY_SITE_PYTHON": "x"}


def test_a_server_that_another_command_uses_is_not_ended(folder, ferry, client):
    state = LocalState(folder)
    state.write(ready=True)
    (folder / "url").write_text(client.target.url)
    shared = Shared()
    shared.use(client)
    with (folder / "use.lock").open("a") as other:
        fcntl.flock(other, fcntl.LOCK_SH)
        at_home.leave(shared, True)
    assert state.url
    state.forget()
    with pytest.raises(Refused, match="nothing runs"):  # nobody else: now it is told to end
        at_home.leave(shared, True)


def test_other_ways_are_told():
    at_home.no_shares(False, "blue=100")
    with pytest.raises(Refused, match="one deployment"):
        at_home.no_shares(True, None, "blue=10")
    at_home.no_debugger(False)
    with pytest.raises(Refused, match="Docker") as caught:
        at_home.no_debugger(True)
    assert "debugpy" in caught.value.hint
