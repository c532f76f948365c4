"""The API describes itself: every route, with the one error shape, without a server running."""

from ferryml.bootstrap.openapi import document


def test_the_document_names_the_routes_of_people_and_sites():
    paths = document()["paths"]
    assert "/api/v1/workspaces/{ws}/jobs" in paths or any(p.endswith("/jobs") for p in paths)
    assert any(p.startswith("/agent/v1/") for p in paths)


def test_operation_ids_are_unique():
    ids = [
        operation["operationId"]
        for path in document()["paths"].values()
        for operation in path.values()
        if "operationId" in operation
    ]
    assert len(ids) == len(set(ids))


def test_bad_input_is_400_and_never_422():
    assert all("422" not in o["responses"] for path in document()["paths"].values() for o in path.values())
