"""What every router keeps: codes, limits, weights and ids. Add a router to `ROUTERS`."""

import asyncio
import collections

import pytest

from router_play import KEY, OTHER, until

A, B = "a" * 10, "b" * 10


# codes


async def test_an_answer_passes_byte_for_byte(play):
    model = await play.serve(says=[3])
    said = await play.ask(b'{"data": [1, 2]}', content_type="application/json")
    assert (said.status, said.body) == (200, b"[3]")
    assert model.seen[0][0] == "POST /score HTTP/1.1"
    assert model.seen[0][2] == b'{"data": [1, 2]}'


async def test_the_old_service_path_serves_too(play):
    await play.serve()
    assert (await play.ask(path="/api/v1/service/digits/score")).status == 200


async def test_the_key_never_reaches_the_model(play):
    model = await play.serve()
    await play.ask()
    assert "authorization" not in model.seen[0][1]


async def test_both_keys_open_and_others_do_not(play):
    model = await play.serve()
    assert (await play.ask(key=KEY)).status == 200
    assert (await play.ask(key=OTHER)).status == 200
    for wrong in ("", "wrong", KEY + "x", KEY[:-1]):
        said = await play.ask(key=wrong)
        assert (said.status, said.code) == (401, "Unauthenticated")
    assert len(model.seen) == 2


async def test_guessing_runs_into_429_while_the_right_key_still_opens(play):
    await play.serve()
    codes = [(await play.ask(key=f"guess-{i}")).status for i in range(25)]
    assert codes[0] == 401
    assert codes[-1] == 429
    assert (await play.ask()).status == 200


async def test_unknown_endpoint_is_404(play):
    said = await play.ask()
    assert (said.status, said.code) == (404, "EndpointNotFound")


async def test_no_weight_is_404_but_the_header_still_reaches(play):
    await play.serve()
    play.weights = {A: 0}
    play.apply()
    assert (await play.ask()).code == "NoValidDeployment"
    assert (await play.ask(azureml_model_deployment="dep-a")).status == 200
    said = await play.ask(azureml_model_deployment="dep-zzz")
    assert (said.status, said.code) == (404, "NoValidDeployment")


@pytest.mark.parametrize("manner", ["raises", "dies", "half", "babble"])
async def test_a_model_that_raises_or_ends_is_502(play, manner):
    model = await play.serve()
    model.manner = manner
    said = await play.ask()
    assert (said.status, said.code) == (502, "ModelFailed")
    assert len(model.seen) == 1, "never sent twice"
    model.manner = "ok"
    assert (await play.ask()).status == 200


async def test_a_raising_script_is_named_in_headers(play):
    model = await play.serve()
    model.manner = "raises"
    said = await play.ask()
    assert said.headers["ms-azureml-model-error-statuscode"] == "500"
    assert said.headers["ms-azureml-model-error-reason"] in ("WORD", "model_error")


async def test_what_the_model_refuses_passes_as_it_is(play):
    model = await play.serve()
    model.manner = "bad"
    said = await play.ask()
    assert (said.status, said.body) == (400, b'{"message": "no such column"}')
    assert said.headers["ms-azureml-model-error-statuscode"] == "400"


async def test_too_slow_is_504(play):
    model = await play.serve(request_timeout_ms=50)
    model.manner = "slow"
    said = await play.ask()
    assert (said.status, said.code) == (504, "ModelTimeout")


async def test_no_instance_is_503(play):
    model = await play.serve(max_queue_wait_ms=30)
    await model.stop()
    said = await play.ask()
    assert (said.status, said.code) == (503, "ResourceNotReady")


async def test_an_instance_that_is_gone_is_passed_over(play):
    gone = await play.model(says="gone")
    await play.serve(says="here")
    await gone.stop()
    assert [(await play.ask()).json for _ in range(4)] == ["here"] * 4


async def test_the_queue_is_bounded_in_time(play):
    model = await play.serve(max_concurrent_requests=1, max_queue_wait_ms=40)
    model.manner = "slow"
    first = asyncio.create_task(play.ask())
    await until(lambda: model.busy)
    said = await play.ask()
    assert (said.status, said.code) == (503, "QueueWaitExceeded")
    model.gate.set()
    assert (await first).status == 200


async def test_who_waits_is_served_in_time(play):
    model = await play.serve(max_concurrent_requests=2, max_queue_wait_ms=5000)
    model.manner = "slow"
    asks = [asyncio.create_task(play.ask()) for _ in range(6)]
    await until(lambda: model.busy == 2)
    model.gate.set()
    assert {(await one).status for one in asks} == {200}
    assert model.most_busy == 2


async def test_requests_go_to_the_least_busy_instance(play):
    one = await play.model()
    other = await play.serve(max_concurrent_requests=3, max_queue_wait_ms=1000)
    one.manner = other.manner = "slow"
    asks = [asyncio.create_task(play.ask()) for _ in range(6)]
    await until(lambda: one.busy == other.busy == 3)
    one.gate.set()
    other.gate.set()
    await asyncio.gather(*asks)


# ids


async def test_ids_say_who_answered(play):
    await play.serve()
    said = await play.ask(x_ms_client_request_id="my-id_1")
    revision, _, tail = said.headers["x-request-id"].partition("-")
    assert revision == A
    assert len(tail) == 16
    assert said.headers["x-ms-request-id"] == said.headers["x-request-id"]
    assert said.headers["x-ms-client-request-id"] == "my-id_1"
    assert said.headers["azureml-model-deployment"] == "dep-a"


async def test_a_bad_client_id_is_not_echoed(play):
    await play.serve()
    for bad in ("x" * 41, "a b", "ä", "<script>"):
        assert "x-ms-client-request-id" not in (await play.ask(x_ms_client_request_id=bad)).headers


async def test_errors_carry_an_id_in_header_and_body(play):
    said = await play.ask()
    assert said.json["request_id"] == said.headers["x-request-id"]


# weights


async def test_weights_hold(play):
    await play.model(A, "a", max_concurrent_requests=50)
    await play.model(B, "b", max_concurrent_requests=50)
    play.weights = {A: 80, B: 20}
    play.apply()
    answers = collections.Counter([(await play.ask()).json for _ in range(300)])
    assert 30 <= answers["b"] <= 95
    assert answers["a"] + answers["b"] == 300


async def test_a_full_deployment_does_not_spill_over(play):
    full = await play.model(A, "a", max_concurrent_requests=1, max_queue_wait_ms=30)
    await play.model(B, "b", max_concurrent_requests=50)
    full.manner = "slow"
    play.weights = {A: 100, B: 0}
    play.apply()
    first = asyncio.create_task(play.ask())
    await until(lambda: full.busy)
    assert (await play.ask()).status == 503
    full.gate.set()
    await first


async def test_changing_the_table_loses_no_request(play):
    models = [
        await play.model(A, "a", max_concurrent_requests=50),
        await play.model(B, "b", max_concurrent_requests=50),
    ]
    play.weights = {A: 100}
    play.apply()
    models[0].manner = "slow"
    asks = [asyncio.create_task(play.ask()) for _ in range(5)]
    await until(lambda: models[0].busy == 5)
    play.models.pop(A)
    play.weights = {B: 100}
    play.direct.pop("dep-a")
    play.apply()
    assert (await play.ask()).json == "b"
    models[0].gate.set()
    assert {(await one).json for one in asks} == {"a"}


async def test_an_instance_that_leaves_the_table_is_busy_until_done(play):
    model = await play.serve(max_concurrent_requests=2)
    model.manner = "slow"
    ask = asyncio.create_task(play.ask())
    await until(lambda: model.busy)
    play.models[A] = []
    play.apply()
    assert play.router.busy("endpoint.ws.digits") == {(A, 0, model.port): 1}
    model.gate.set()
    assert (await ask).status == 200
    assert play.router.busy("endpoint.ws.digits") == {}


# counters


async def test_counters_tell_weighted_from_named(play):
    model = await play.serve()
    for _ in range(3):
        await play.ask()
    await play.ask(azureml_model_deployment="dep-a")
    model.manner = "raises"
    await play.ask()
    await until(lambda: play.router.totals("endpoint.ws.digits")[A].requests == 4)
    seen = play.router.totals("endpoint.ws.digits")[A]
    assert (seen.requests, seen.errors, seen.direct) == (4, 1, 1)
    assert sum(seen.latency.values()) == 4


async def test_small_predictions_are_captured(play, captured):
    model = await play.serve(says=[7])
    said = await play.ask()
    await until(lambda: captured)
    assert captured == [("endpoint.ws.digits", said.headers["x-request-id"], A, "7")]
    model.says = [[1, 2], [3]]
    await play.ask()
    model.says = {"predictions": ["cat"]}
    await play.ask()
    await until(lambda: len(captured) == 2)
    assert captured[1][3] == '"cat"'


# mirror


async def _mirrored(play, percent: int = 100, **limits: int):
    live = await play.model(A, [1], max_concurrent_requests=50)
    shadow = await play.model(B, [1], **limits)
    play.weights, play.mirror = {A: 100}, {B: percent}
    play.apply()
    return live, shadow, lambda: play.router.totals("endpoint.ws.digits")[B]


async def test_copies_are_compared_and_counted(play):
    _, shadow, count = await _mirrored(play)
    await play.ask(b"[5]")
    await until(lambda: count().mirrored == 1)
    shadow.says = [1.0000000001]
    await play.ask()
    await until(lambda: count().mirrored == 2)
    assert (count().inexact, count().mismatches, count().disagreements) == (1, 0, 0)
    shadow.says = [2]
    await play.ask()
    await until(lambda: count().mirrored == 3)
    shadow.manner = "raises"
    await play.ask()
    await until(lambda: count().mirrored == 4)
    assert (count().mismatches, count().disagreements, count().mirror_errors) == (1, 1, 1)
    assert count().requests == 0
    assert shadow.seen[0][2] == b"[5]"


async def test_a_named_deployment_is_never_mirrored(play):
    _, shadow, count = await _mirrored(play)
    await play.ask(azureml_model_deployment="dep-a")
    await play.ask()
    await until(lambda: count().mirrored == 1)
    assert len(shadow.seen) == 1


async def test_mirror_takes_its_share(play):
    _, shadow, count = await _mirrored(play, percent=30, max_concurrent_requests=8)
    for _ in range(100):
        await play.ask()
    await until(lambda: count().mirrored == len(shadow.seen))
    assert 12 <= len(shadow.seen) <= 50


async def test_a_stuck_shadow_neither_slows_nor_fails_the_live_one(play):
    _, shadow, count = await _mirrored(play, max_concurrent_requests=1, request_timeout_ms=60_000)
    shadow.manner = "slow"
    said = [await play.ask() for _ in range(30)]
    assert {one.status for one in said} == {200}
    await until(lambda: count().mirror_dropped == 30 - 8)
    assert shadow.most_busy == 1
    assert play.router.totals("endpoint.ws.digits")[A].errors == 0


async def test_a_dead_shadow_is_counted_only(play):
    _, shadow, count = await _mirrored(play)
    await shadow.stop()
    assert (await play.ask()).status == 200
    await until(lambda: count().mirror_errors == 1)
