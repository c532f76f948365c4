"""What a log says of a program that does not start, in the words of azureml-inference-server-http."""

import pytest

from ferryml.domain.script_failure import keeps_losing_workers, script_failure

HEAD = "2026-01-01 00:00:00,001 I [7] azmlinfsrv - Starting up app insights client\n"
USER = """Traceback (most recent call last):
  File "/app/score.py", line 2, in init
    {line}
{error}
"""
CAUSE = """
The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/env/azureml_inference_server_http/server/aml_blueprint.py", line 109, in setup
    self.user_script.{call}()
azureml_inference_server_http.server.user_script.{kind}: Caught an unhandled exception
"""
TAIL = "2026-01-01 00:00:00,100 I [7] gunicorn.error - Worker exiting (pid: 7)\n"


def log(error: str, kind: str, call: str, before: str = "") -> str:
    stamp = "2026-01-01 00:00:00,002 E [7] azmlinfsrv - "
    return HEAD + before + stamp + USER.format(line="x()", error=error) + CAUSE.format(call=call, kind=kind) + TAIL


def test_init_raised():
    said = log("RuntimeError: no model", "UserScriptException", "invoke_init", "... User's init function failed\n")
    failure = script_failure(said, 3)
    assert (failure.code, failure.final) == ("UserScriptInitFailed", False)
    assert failure.reason == "init() raised RuntimeError: no model"
    assert failure.traceback.startswith("Traceback")
    assert failure.traceback.endswith("RuntimeError: no model")
    assert "aml_blueprint" not in failure.traceback


def test_an_import_fails():
    failure = script_failure(
        log("ModuleNotFoundError: No module named 'x'", "UserScriptImportException", "load_script"), 3
    )
    assert (failure.code, failure.final) == ("UserScriptImportError", True)
    assert "No module named 'x'" in failure.reason


@pytest.mark.parametrize("name", ["init", "run"])
def test_a_function_is_missing(name):
    words = f"User script at /s.py does not have a {name}() function defined."
    said = f"{HEAD}x - Traceback (most recent call last):\n  File 'y'\n...UserScriptError: {words}\n{TAIL}"
    failure = script_failure(said, 3)
    assert (failure.code, failure.reason) == ("UserScriptFunctionNotFound", f"the scoring script has no {name}()")


def test_of_several_starts_the_last_counts():
    first = log("ValueError: old", "UserScriptException", "invoke_init", "User's init function failed\n")
    last = log("ValueError: new", "UserScriptException", "invoke_init", "User's init function failed\n")
    assert script_failure(first + last, 3).reason == "init() raised ValueError: new"


def test_without_a_traceback_the_last_line_speaks():
    failure = script_failure("starting\nbind: address already in use\n", 1)
    assert (failure.code, failure.traceback) == ("DeploymentCrashLoopBackOff", "")
    assert failure.reason == "the program ended with exit code 1: bind: address already in use"
    assert script_failure("", None).reason == "the program ended"


def test_a_long_traceback_is_cut():
    said = log(
        "ValueError: " + "x" * 300 + "\n" + "deep line\n" * 5000 + "end",
        "UserScriptException",
        "x",
        "User's init function failed\n",
    )
    assert len(script_failure(said, 3).traceback) <= 6000


def test_lost_workers_are_counted():
    line = "2026 E [1] gunicorn.error - Worker (pid:{}) {}\n"
    said = line.format(7, "exited with code 9") + line.format(8, "was sent SIGKILL! Perhaps out of memory?")
    assert not keeps_losing_workers(said)
    assert keeps_losing_workers(said + line.format(9, "exited with code 9"))
    assert "was sent SIGKILL" in script_failure(said, 0).reason
