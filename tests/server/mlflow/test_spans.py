"""Calling an ASGI application with a request that was read before."""

from starlette.requests import Request as Asked
from starlette.responses import PlainTextResponse

from ferryml.server.mlflow.spans import forward_now
from ferryml.server.mlflow.wsgi import Request


async def echo(scope, receive, send):
    asked = Asked(scope, receive)
    body = await asked.body()
    text = f"{asked.method} {asked.url.path}?{asked.url.query} {asked.headers['x-a']} {body.decode()}"
    await PlainTextResponse(text, 202)(scope, receive, send)


def test_all_of_the_request_arrives():
    request = Request("POST", "/v1/traces", "q=1", {"x-a": "b"}, b"body")
    assert forward_now(echo, request) == (202, b"POST /v1/traces?q=1 b body")
