"""No id of another workspace gets through, on any route, in any spelling."""

import json

import pytest

from ferryml.server.mlflow.context import mlflow_name
from ferryml.server.mlflow.routes import right_for
from mlflow_things import LISTS, SECRET, a_span, as_json, empty, everything, probes

APART = {400, 403, 404}
"""400 where MLflow says so of what it cannot see."""


def test_another_workspaces_things_are_neither_shown_nor_changed(red, server):
    before = everything(server.host.engine)
    files = server.tree.below("Red_Team", "")
    wrong = []
    with server.client("boss") as blue:
        for (method, rule), (path, query, body) in probes(red, server.mine, server.my_run).items():
            for prefix in ("/api/", "/ajax-api/"):
                spelled = path.replace("/api/", prefix, 1)
                sent = as_json(body)
                answer = blue.request(method, spelled, params=query, **sent)
                echoed = json.dumps([query, body, path])
                leaks = SECRET in answer.text and SECRET not in echoed
                if (rule, answer.status_code) == ("/api/2.0/mlflow-artifacts/artifacts", 200):
                    leaks = True
                if answer.status_code not in APART and not empty(answer):
                    leaks = True
                if leaks or answer.status_code >= 500:
                    wrong.append((method, spelled, answer.status_code, answer.text[:200]))
    assert wrong == []
    after = everything(server.host.engine)
    gone = {name: rows - after[name] for name, rows in before.items() if rows - after[name]}
    assert gone == {}
    ids = {red.run, red.model, red.trace, red.dataset}
    linked = [row for name, rows in after.items() for row in rows - before[name] if ids & set(row)]
    assert linked == []
    assert server.tree.below("Red_Team", "") == files


def test_the_owner_does_see_what_the_probes_reach_for(red, server):
    """Otherwise the test above would prove nothing."""
    silent = set()
    with server.client("rosa") as owner:
        for (method, rule), (path, query, body) in probes(red, red.experiment, red.run).items():
            if right_for(method, rule) == "read":
                sent = as_json(body)
                spelled = [path, path.replace("/api/", "/ajax-api/", 1)]
                answers = [owner.request(method, spelling, params=query, **sent) for spelling in spelled]
                if all(answer.status_code != 200 or empty(answer) for answer in answers):
                    silent.add((rule, answers[0].status_code, answers[-1].text[:250]))
    assert silent == set()


def test_lists_hold_only_ones_own(red, server):
    with server.client("anna") as blue:
        for (method, path), named in LISTS.items():
            sent = {"json": named} if method == "POST" else {"params": named}
            answer = blue.request(method, path, **sent)
            assert answer.status_code == 200, (path, answer.text)
            assert SECRET not in answer.text, path
            assert mlflow_name("Red_Team") not in answer.text, path


def test_graphql_sees_ones_own_workspace_only(red, server):
    run = '{ mlflowGetRun(input: {runId: "%s"}) { run { info { runName } } apiError { message } } }'
    runs = 'mutation { mlflowSearchRuns(input: {experimentIds: ["%s"]}) { runs { info { runName } } } }'
    files = '{ mlflowListArtifacts(input: {runId: "%s"}) { files { path } } }'
    experiment = '{ mlflowGetExperiment(input: {experimentId: "%s"}) { experiment { name } } }'
    history = (
        '{ mlflowGetMetricHistoryBulkInterval(input: {runIds: ["%s"], metricKey: "redsecret"}) { metrics { value } } }'
    )
    queries = [run % red.run, runs % red.experiment, files % red.run, experiment % red.experiment, history % red.run]
    queries.append("{ mlflowSearchModelVersions(input: {}) { modelVersions { name } } }")
    datasets = 'mutation { mlflowSearchDatasets(input: {experimentIds: ["%s"]}) { datasetSummaries { name } } }'
    queries.append(datasets % red.experiment)
    with server.client("anna") as blue, server.client("rosa") as owner:
        for query in queries:
            mine = blue.post("/graphql", json={"query": query})
            theirs = owner.post("/graphql", json={"query": query})
            assert SECRET in theirs.text or "4711" in theirs.text, (query, theirs.text)
            assert SECRET not in mine.text.replace(query, ""), (query, mine.text)
            assert "4711" not in mine.text, (query, mine.text)


def test_spans_cannot_be_added_to_another_workspaces_trace(red, server):
    span = a_span(red.trace, "x")
    body = {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}
    before = everything(server.host.engine)
    with server.client("anna") as blue:
        for experiment, expected in ((red.experiment, 404), (server.mine, 404)):
            answer = blue.post("/v1/traces", json=body, headers={"x-mlflow-experiment-id": experiment})
            assert answer.status_code == expected, answer.text
        assert everything(server.host.engine) == before
        body["resourceSpans"][0]["scopeSpans"][0]["spans"] = [a_span("tr-" + "ef" * 16, "x")]
        answer = blue.post("/v1/traces", json=body, headers={"x-mlflow-experiment-id": server.mine})
        assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("spelling", ["run_id", "runId", "run_uuid", "runUuid"])
def test_ids_are_found_under_every_spelling_and_encoding(red, server, spelling):
    body = json.dumps({spelling: red.run, "key": "k", "value": "v"})
    with server.client("anna") as blue:
        for sent in (body, json.dumps(body)):
            answer = blue.post(
                "/api/2.0/mlflow/runs/set-tag", content=sent, headers={"Content-Type": "application/json"}
            )
            assert answer.status_code in APART, answer.text
