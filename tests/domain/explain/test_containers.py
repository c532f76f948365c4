"""Why a container does not start and how it ended."""

import pytest

from explain_play import checks, ended, facts_of, first, logged, waiting
from ferryml.domain.explain import Facts


@pytest.mark.parametrize(
    ("state", "check", "code"),
    [
        ("nocommand", "start.not-found", "ContainerCannotStart"),
        ("nopath", "start.not-found", "ContainerCannotStart"),
        ("notexec", "start.permission", "ContainerCannotStart"),
        ("workdir", "start.folder", "ContainerCannotStart"),
        ("asroot", "start.root", "AdmissionDenied"),
        ("noconfig", "start.config", "ContainerCannotStart"),
        ("nosecretenv", "start.config", "ContainerCannotStart"),
        ("nokey", "start.key", "ContainerCannotStart"),
        ("mountconfig", "start.config", "ContainerCannotStart"),
        ("oom", "memory.oom", "PodOutOfMemory"),
        ("child", "memory.oom", "PodOutOfMemory"),
        ("exit3", "program.failed", "UserCodeFailed"),
    ],
)
def test_recorded_states(state, check, code):
    found = first(facts_of(state))
    assert (found.check, found.code) == (check, code)


def test_a_limit_too_low_to_start_anything():
    assert "start.memory" in checks(facts_of("job-sandbox-memory"))


def test_the_type_is_named_when_memory_ran_out():
    assert "small allows" in first(facts_of("oom", instance_type="small")).cause


@pytest.mark.parametrize(
    ("facts", "check"),
    [
        (ended("StartError", 'exec: "/bin/sh": stat /bin/sh: no such file or directory'), "start.no-shell"),
        (ended("Error", "exec /bin/sh: exec format error"), "start.architecture"),
        (ended("OOMKilled", container="stage", code=137), "memory.ours"),
        (waiting("CrashLoopBackOff", container="collect"), "helper.failing"),
        (waiting("CreateContainerError", "what nobody knows"), "start.other"),
        (waiting("PostStartHookError", "hook said no"), "start.hook"),
    ],
)
def test_other_words(facts, check):
    assert checks(facts)[0] == check


@pytest.mark.parametrize(
    ("reason", "text", "check"),
    [
        ("FailedCreatePodSandBox", 'plugin type="bridge" failed (add): no IP addresses available', "start.network"),
        ("FailedCreatePodSandBox", 'no runtime for "gvisor" is configured', "start.runtime-class"),
        ("FailedCreatePodSandBox", "what nobody knows", "start.sandbox"),
        ("Unhealthy", "Startup probe failed: not ready", "helper.probe"),
    ],
)
def test_events(reason, text, check):
    container = "collect" if reason == "Unhealthy" else ""
    about = {"kind": "Pod", "name": "t", "fieldPath": f"spec.initContainers{{{container}}}"}
    assert checks(Facts(events=({"reason": reason, "message": text, "involvedObject": about},))) == [check]


@pytest.mark.parametrize(
    ("text", "check"),
    [
        ("Traceback\nModuleNotFoundError: No module named 'sklearn'", "package.missing"),
        ("bash: line 1: nvidia-smi: command not found", "command.missing"),
        ("python: can't open file '/ferry/job/code/trian.py': [Errno 2] No such file", "command.missing"),
        ("RuntimeError: DataLoader worker (pid 7) is killed by signal: Bus error.", "shm.full"),
        ("OSError: [Errno 28] No space left on device: '/tmp/x'", "disk.full"),
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB", "gpu.memory"),
        ("Failed to initialize NVML: Driver/library version mismatch", "gpu.driver"),
        ("MemoryError: Unable to allocate 9 GiB", "memory.told"),
        ("OSError: [Errno 30] Read-only file system: '/data/x'", "folder.read-only"),
        ("PermissionError: [Errno 13] Permission denied: '/root/.cache'", "folder.permission"),
        ("requests ... Temporary failure in name resolution", "egress.none"),
        ("OSError: [Errno 98] Address already in use", "port.taken"),
        ("torch.distributed.DistStoreError: Socket Timeout", "ranks.lost"),
        ('  File "t.py", line 3\nSyntaxError: invalid syntax', "program.syntax"),
        ("exec /usr/bin/python: exec format error", "start.architecture"),
        ("what nobody foresaw", "program.failed"),
    ],
)
def test_what_a_program_printed(text, check):
    assert first(logged(text)).check == check


def test_evidence_is_the_line_and_not_the_log():
    found = first(logged("many\nlines\nModuleNotFoundError: No module named 'x'\nmore"))
    assert found.evidence == "the job's log: ModuleNotFoundError: No module named 'x'"


@pytest.mark.parametrize(
    ("code", "check"),
    [(132, "program.crashed"), (135, "program.crashed"), (139, "program.crashed"), (137, "program.killed")],
)
def test_signals(code, check):
    assert checks(Facts(exit_code=code)) == [check]


def test_a_program_that_ended_well_has_no_cause():
    assert checks(Facts(exit_code=0)) == []
