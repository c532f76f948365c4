"""Why a container does not start, or how it ended: the kubelet's words, exit codes, and what the program printed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from ferryml.domain.explain.clues import Clue, Kind
from ferryml.domain.explain.facts import Facts
from ferryml.domain.explain.kit import Lead, Look, Rule, lead

_START: tuple[Kind, ...] = ("waiting", "terminated", "event")
SIGNALS = {
    4: "an instruction that the CPU lacks (SIGILL)",
    6: "abort (SIGABRT)",
    7: "a bus error (SIGBUS)",
    8: "an arithmetic error (SIGFPE)",
    11: "a segmentation fault (SIGSEGV)",
}


def crashed(facts: Facts, said: Sequence[Clue]) -> Iterator[Lead]:
    """The user's program was ended by a signal of its own making."""
    code = facts.exit_code
    if code is None or code - 128 not in SIGNALS:
        return
    number = code - 128
    fix = {
        4: "Choose an instance type with newer CPUs, or a build of the library without those instructions.",
        7: "Most often shared memory is full: raise resources.shm_size.",
    }.get(number, "A native library crashed: run with PYTHONFAULTHANDLER=1 to see where.")
    yield lead(
        "program.crashed", "UserCodeFailed", f"the program ended with {SIGNALS[number]}", f"exit code {code}", fix, 90
    )


def killed(facts: Facts, said: Sequence[Clue]) -> Iterator[Lead]:
    """Killed, and the kubelet does not say that it was for memory."""
    if facts.exit_code != 137 or any(clue.reason == "OOMKilled" for clue in said):
        return
    found = lead(
        "program.killed",
        "UserCodeFailed",
        "the program was killed (SIGKILL), and the kubelet does not say why",
        "exit code 137 without OOMKilled",
        "A child process may have been killed for memory; else see the node's events, or a proxy without 127.0.0.1 in "
        "no_proxy.",
        60,
    )
    yield replace(found, last="all")


def program(facts: Facts, said: Sequence[Clue]) -> Iterator[Lead]:
    """The user's own failure, by its first error line."""
    if facts.exit_code in (None, 0):
        return
    line = facts.error_lines[0] if facts.error_lines else f"exit code {facts.exit_code}"
    found = lead(
        "program.failed",
        "UserCodeFailed",
        f"the program failed: {line}",
        f"exit code {facts.exit_code}",
        "Mend the program; the whole log is in user_logs/std_log.txt.",
        50,
    )
    yield replace(found, last="all")


RULES: tuple[Look, ...] = (
    Rule(
        "memory.ours",
        "MachineFailed",
        ("terminated",),
        r"^OOMKilled",
        "Ferry's own container {container} ran out of memory",
        "IT raises stage_memory or collect_memory of the site; Ferry tries again by itself.",
        99,
        container="ours",
    ),
    Rule(
        "memory.oom",
        "PodOutOfMemory",
        ("terminated", "pod"),
        r"^OOMKilled|OutOfMemory",
        "the program used more memory than {type} allows and was killed (OOMKilled)",
        "Choose an instance type with more memory, or use less: smaller batches, fewer workers.",
        99,
        container="users",
    ),
    Rule(
        "memory.told",
        "PodOutOfMemory",
        ("log",),
        r"(?P<why>(?:MemoryError|Cannot allocate memory|std::bad_alloc)[^\n]*)",
        "the program ran out of memory: {why}",
        "Choose an instance type with more memory, or use less.",
        75,
    ),
    Rule(
        "start.no-shell",
        "ContainerCannotStart",
        _START,
        r'exec: "?/bin/sh"?: .*(?:no such file|not found)|stat /bin/sh: no such file|/bin/sh[^\n]*executable file '
        r"not found",
        "the image has no shell: /bin/sh is what starts the command",
        "Use an image with a POSIX shell (not distroless or scratch).",
        98,
        container="users",
    ),
    Rule(
        "start.architecture",
        "ImageInvalid",
        (*_START, "log"),
        r"exec format error",
        "the image was built for another architecture than the node's",
        "Use an image of the node's architecture, or an instance type that selects kubernetes.io/arch.",
        95,
        container="users",
    ),
    Rule(
        "start.not-found",
        "ContainerCannotStart",
        _START,
        r'exec: "?(?P<what>[^":]+)"?: (?:executable file not found|.*no such file or directory)',
        "the image has no program {what}",
        "Correct the command, or use an image that has it.",
        95,
        container="users",
    ),
    Rule(
        "start.permission",
        "ContainerCannotStart",
        _START,
        r'exec: "?(?P<what>[^":]+)"?: permission denied',
        "{what} in the image may not be executed",
        "Make it executable in the image (chmod +x).",
        95,
    ),
    Rule(
        "start.folder",
        "ContainerCannotStart",
        _START,
        r'(?:chdir to cwd|failed to mkdir|mkdir) \(?"?(?P<what>/[^":) ]+)"?\)?.*?(?P<why>read-only file system|'
        r"permission denied|no such file|not a directory)",
        "the container cannot enter or make the folder {what}: {why}",
        "Choose a working directory that the user may write.",
        93,
    ),
    Rule(
        "start.root",
        "AdmissionDenied",
        _START,
        r"container has runAsNonRoot and (?P<why>[^(]*)",
        "the container must not run as root: {why}",
        "Give the image a numeric USER other than 0, or IT lowers the namespace's Pod Security level.",
        98,
    ),
    Rule(
        "start.config",
        "ContainerCannotStart",
        _START,
        r'(?:CreateContainerConfigError|FailedMount): .*?(?P<kind>secret|configmap) "(?P<name>[^"]+)" not found',
        "the {kind} {name} does not exist in the compute's namespace",
        "IT makes it there: kubectl create {kind} ... {name}; a secretRef must name what exists.",
        96,
    ),
    Rule(
        "start.key",
        "ContainerCannotStart",
        _START,
        r"couldn't find key (?P<key>\S+) in (?P<what>Secret|ConfigMap) (?P<name>\S+)",
        "{what} {name} has no key {key}",
        "Correct the key in the secretRef, or add it to the {what}.",
        96,
    ),
    Rule(
        "start.runtime-class",
        "ClassMissing",
        ("event",),
        r'FailedCreatePodSandBox: .*(?:no runtime for "(?P<name>[^"]+)"|runtime handler "?(?P<other>[^" ]+)"? not)',
        "the node does not have the container runtime that the RuntimeClass names: {name}{other}",
        "IT installs it on the nodes, or restricts the RuntimeClass to those that have it.",
        96,
    ),
    Rule(
        "start.network",
        "MachineFailed",
        ("event",),
        r"FailedCreatePodSandBox: .*(?:failed to setup network|cni|plugin type)(?P<why>[^\n]*)",
        "the node's network plugin cannot connect the pod",
        "IT repairs the network plugin (CNI) of the node; Ferry waits.",
        95,
    ),
    Rule(
        "start.memory",
        "PodOutOfMemory",
        _START,
        r"container init was OOM-killed|memory limit too low|minimum memory limit allowed",
        "the memory limit of {type} is too low to start a container at all",
        "Choose an instance type with more memory.",
        97,
    ),
    Rule(
        "start.sandbox",
        "MachineFailed",
        ("event",),
        r"FailedCreatePodSandBox: (?P<why>.*)",
        "the node cannot make the pod's sandbox: {why}",
        "IT looks at containerd on the node.",
        80,
        last="family",
    ),
    Rule(
        "start.hook",
        "ContainerCannotStart",
        _START,
        r"PostStartHook(?:Error)?: (?P<why>.*)",
        "a start hook failed: {why}",
        "Correct the hook.",
        80,
    ),
    Rule(
        "start.other",
        "ContainerCannotStart",
        ("waiting", "terminated"),
        r"^(?:RunContainerError|CreateContainerError|CreateContainerConfigError|StartError|ContainerCannotRun): "
        r"(?P<why>.*)",
        "the container {container} cannot start: {why}",
        "Correct image or command.",
        70,
        last="family",
    ),
    Rule(
        "helper.failing",
        "MachineFailed",
        ("waiting",),
        r"^CrashLoopBackOff",
        "Ferry's container {container} keeps ending",
        "IT looks at its log: kubectl logs POD -c {container}; most often it cannot reach the gateway.",
        85,
        container="ours",
    ),
    Rule(
        "helper.probe",
        "GatewayDown",
        ("event",),
        r"^Unhealthy: Startup probe failed",
        "the collecting sidecar is not ready yet",
        "It waits for the gateway; see `ferry site doctor`.",
        55,
        level="warning",
        container="ours",
    ),
    Rule(
        "shm.full",
        "SharedMemoryFull",
        ("log",),
        r"insufficient shared memory|DataLoader worker .*? (?:killed by signal: Bus error|is killed by signal: Bus)|"
        r"/dev/shm[^\n]*No space left",
        "shared memory (/dev/shm) is full",
        "Raise resources.shm_size (it counts as memory of the pod), or use fewer workers.",
        92,
    ),
    Rule(
        "disk.full",
        "DiskFull",
        ("log",),
        r"No space left on device|Errno 28|Disk quota exceeded",
        "the program found the disk full",
        "Write less to the container's disk: big files belong in outputs; or choose an instance type with more "
        "ephemeral-storage.",
        88,
    ),
    Rule(
        "gpu.memory",
        "UserCodeFailed",
        ("log",),
        r"CUDA out of memory|torch\.OutOfMemoryError|CUBLAS_STATUS_ALLOC_FAILED|RESOURCE_EXHAUSTED: OOM",
        "the GPU's memory is full",
        "Use smaller batches or models, or an instance type with a larger GPU.",
        90,
    ),
    Rule(
        "gpu.driver",
        "GpuPluginMissing",
        ("log", *_START),
        r"driver/library version mismatch|CUDA driver version is insufficient|Failed to initialize NVML|no "
        r"CUDA-capable device|Found no NVIDIA driver|libcuda\.so\.1: cannot open",
        "the program finds no working GPU driver",
        "Choose an instance type with a GPU; else IT updates driver and device plugin of the node to match the "
        "image's CUDA.",
        88,
    ),
    Rule(
        "package.missing",
        "UserCodeFailed",
        ("log",),
        r"(?:ModuleNotFoundError: )?No module named '?(?P<name>[\w.]+)'?",
        "the environment lacks the Python package that provides {name}",
        "Add it to conda_file (pip: or dependencies:).",
        90,
    ),
    Rule(
        "command.missing",
        "UserCodeFailed",
        ("log",),
        r"(?:sh|bash): (?:line )?\d*:? ?(?P<name>[^\s:]+): (?:command )?not found|can't open file '(?P<file>[^']+)'",
        "the command names what is not there: {name}{file}",
        "Correct the command: paths are relative to the code folder; programs must be in image or environment.",
        88,
    ),
    Rule(
        "folder.read-only",
        "UserCodeFailed",
        ("log",),
        r"Read-only file system:? ?(?P<what>'[^']+')?",
        "the program writes where it may not: {what} is read-only",
        "Write to outputs, ./outputs or /tmp.",
        82,
    ),
    Rule(
        "folder.permission",
        "UserCodeFailed",
        ("log",),
        r"PermissionError: \[Errno 13\] Permission denied: (?P<what>'[^']+')",
        "the program may not open {what}: it does not run as root",
        "Write to outputs, ./outputs, /tmp or $HOME.",
        75,
    ),
    Rule(
        "egress.none",
        "UserCodeFailed",
        ("log",),
        r"Temporary failure in name resolution|Name or service not known|Network is unreachable|getaddrinfo failed|"
        r"Could not resolve host",
        "the program tries to reach an address outside; pods reach the site's gateway only",
        "Bring data as inputs and packages by the environment; or IT allows egress of the namespace.",
        80,
    ),
    Rule(
        "port.taken",
        "UserCodeFailed",
        ("log",),
        r"Address already in use|EADDRINUSE",
        "the program wants a port that is in use in its pod (8471 on 127.0.0.1 is Ferry's)",
        "Let it use another port.",
        80,
    ),
    Rule(
        "ranks.lost",
        "UserCodeFailed",
        ("log",),
        r"(?:NCCL|Gloo|c10d)[^\n]*(?:timeout|timed out|Connection (?:closed|reset)|unhandled system error)|"
        r"rendezvous[^\n]*timed? ?out|DistStoreError",
        "the ranks of the job lost each other",
        "One rank failed first: see the other ranks' logs (user_logs/std_log_process_N.txt).",
        70,
    ),
    Rule(
        "program.syntax",
        "UserCodeFailed",
        ("log",),
        r"(?P<what>SyntaxError|IndentationError): (?P<why>[^\n]*)",
        "the program is not valid Python: {what}: {why}",
        "Mend it; if it runs on your machine, compare the Python versions.",
        85,
    ),
    crashed,
    killed,
    program,
)
