"""Why an environment's image could not be built: what buildah and the registry said, step by step."""

from __future__ import annotations

from ferryml.domain.error_catalogue import Code
from ferryml.domain.explain.clues import Kind
from ferryml.domain.explain.kit import Look, Rule

_MADE: tuple[Kind, ...] = ("environment",)
_CODE: Code = "ImageBuildFailed"
_PULL, _PUSH = (
    r"ImageBuildFailed: pulling the base image (?P<name>\S+) failed",
    r"ImageBuildFailed: pushing (?P<name>\S+)",
)
_DENIED = r"unauthorized|authentication required|denied|\b40[13]\b"
_AWAY = (
    r"connection refused|no such host|i/o timeout|timeout exceeded|deadline exceeded|no route to host|network is "
    r"unreachable|connection reset|\bEOF\b|Temporary failure in name resolution"
)

RULES: tuple[Look, ...] = (
    Rule(
        "build.base-denied",
        _CODE,
        _MADE,
        rf"{_PULL}.*?(?:{_DENIED})",
        "the registry does not give the base image {name} to this site",
        "IT corrects the Secret that FERRY_CLUSTER_BUILD_SECRET names, or gives its account the right to read.",
        99,
    ),
    Rule(
        "build.base-away",
        _CODE,
        _MADE,
        rf"{_PULL}.*?(?:{_AWAY})",
        "the registry of the base image {name} cannot be reached from builds",
        "Start FROM an image in the site's registry; or IT opens the way: builds.networks, build_proxy, image_aliases.",
        99,
    ),
    Rule(
        "build.base-tls",
        _CODE,
        _MADE,
        rf"{_PULL}.*?(?:x509:|server gave HTTP response to HTTPS client)",
        "the registry of the base image {name} is not trusted",
        "IT sets FERRY_CLUSTER_BUILD_CA, or FERRY_CLUSTER_BUILD_INSECURE for one that speaks plain HTTP.",
        99,
    ),
    Rule(
        "build.base",
        _CODE,
        _MADE,
        _PULL,
        "there is no base image {name}",
        "Correct FROM in the Dockerfile.",
        98,
    ),
    Rule(
        "build.push-denied",
        _CODE,
        _MADE,
        rf"{_PUSH}.*?(?:{_DENIED})",
        "the registry does not let this site push {name}",
        "IT corrects the Secret that FERRY_CLUSTER_BUILD_SECRET names, or gives its account the right to push.",
        99,
    ),
    Rule(
        "build.push",
        _CODE,
        _MADE,
        _PUSH,
        "the image was built and could not be pushed to {name}",
        "IT checks FERRY_CLUSTER_BUILD_REGISTRY, its network and its disk; the message has its words.",
        98,
    ),
    Rule(
        "build.secret",
        _CODE,
        _MADE,
        r"ImageBuildFailed: the Secret with the registry's password",
        "the Secret with the registry's password is not in the namespace of builds",
        "IT makes it there: kubectl create secret docker-registry, under the name in FERRY_CLUSTER_BUILD_SECRET.",
        99,
    ),
    Rule(
        "build.memory",
        _CODE,
        _MADE,
        r"ImageBuildFailed: (?:OOMKilled|.*(?:out of memory|MemoryError|Killed))",
        "the build needed more memory than it may take",
        "IT raises FERRY_CLUSTER_BUILD_MEMORY.",
        99,
    ),
    Rule(
        "build.time",
        _CODE,
        _MADE,
        r"ImageBuildFailed: the build took longer than",
        "the build took longer than it may",
        "Do less in the Dockerfile, or IT raises FERRY_CLUSTER_BUILD_TIMEOUT_S.",
        99,
    ),
    Rule(
        "build.disk",
        _CODE,
        _MADE,
        r"ImageBuildFailed: .*(?:No space left on device|ephemeral.storage|DiskFull)",
        "the build needed more disk than it may take",
        "Make the image smaller, or IT raises FERRY_CLUSTER_BUILD_STORAGE.",
        99,
    ),
    Rule(
        "build.rights",
        _CODE,
        _MADE,
        r"ImageBuildFailed: .*(?:unshare|newuidmap|newgidmap|user namespace|clone: operation not permitted)",
        "the cluster does not let builds make user namespaces",
        "IT sets the namespace of builds to the Pod Security level privileged, and user.max_user_namespaces on nodes.",
        98,
    ),
    Rule(
        "build.command",
        _CODE,
        _MADE,
        r"ImageBuildFailed: the build failed at (?P<step>STEP [^;]*)(?:; (?P<why>[^;]*))?",
        "{step} of the Dockerfile failed: {why}",
        "Mend that line of the Dockerfile; the whole build is in system_logs/environment.log.",
        97,
    ),
    Rule(
        "build.other",
        _CODE,
        _MADE,
        r"ImageBuildFailed: (?P<why>.*)",
        "the image could not be built: {why}",
        "See system_logs/environment.log of the job.",
        96,
        last="family",
    ),
)
