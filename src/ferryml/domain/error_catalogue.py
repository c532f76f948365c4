"""Every error code of Ferry with what it means and what mends it; docs/errors.md is generated from here."""

from __future__ import annotations

from typing import Literal, get_args

Code = Literal[
    # language
    "UnknownField", "BadValue", "MissingField", "BadYaml", "BadReference", "UnresolvedExpression", "FileNotFound",
    "BadName", "FileTooLarge", "BadEncoding",
    # lookups and conflicts
    "NotFound", "AlreadyExists", "OperationInProgress", "VersionConflict", "InUse",
    # access
    "Unauthenticated", "TokenExpired", "TokenRevoked", "Forbidden", "NotYourSite", "BadGrant", "JoinTokenUsed",
    # placement and residency
    "ComputeNotFound", "SiteOffline", "ResidencyViolation", "ConsentMissing", "NoCapacity",
    # bytes
    "DigestMismatch", "OffsetMismatch", "UploadTooLarge", "PathEscapes", "DiskFull", "BlobMissing",
    # jobs
    "EnvironmentFailed", "ImageBuildFailed", "UserCodeFailed", "TimedOut", "MachineFailed", "StagingFailed", "UploadFailed", "InvalidInstanceType",
    # serving
    "BadArgument", "ResourceNotReady", "UserScriptInitFailed", "UserScriptImportError", "UserScriptFunctionNotFound",
    "DeploymentCrashLoopBackOff", "NoValidDeployment", "TrafficInvalid", "EndpointNotFound", "QueueWaitExceeded",
    "ModelTimeout", "ModelFailed",
    # rollouts and automations
    "GateRejected", "RolledBack", "NoChampion", "MetricMissing",
    # clusters
    "ClusterUnreachable", "ClusterForbidden", "ClusterRefused", "NamespaceMissing", "NotLeader", "QuotaExceeded",
    "ImagePullFailed", "OutOfMemory", "PodRejected",
    # link and programs
    "StaleAttempt", "EpochChanged", "AgentTooOld", "ServerUnreachable", "ProxyFailed", "TlsFailed", "AlreadyRunning",
    "NotRunning", "MissingExtra", "Usage", "DatabaseTooNew", "BackupDamaged", "NotSupported", "LimitExceeded", "BadRequest", "Unavailable", "Internal",
    # clusters: what the explainer and the doctor find
    "AdmissionDenied", "BuildsDisabled", "ClassMissing", "ClockSkew", "ClusterTooSmall", "ContainerCannotStart", "DnsFailed",
    "GangWaiting", "GatewayDown", "GpuPluginMissing", "ImageAccessDenied", "ImageInvalid", "ImageNotFound",
    "ImagePullLoopBackOff", "ImageRateLimited", "InferenceDisabled", "KubernetesTooOld",
    "NetworkPolicyNotEnforced", "NodeLost", "OutOfQuota", "PermissionMissing", "PodEvicted", "PodOutOfMemory",
    "PodPreempted", "PodUnschedulable", "QueueWaiting", "RegistryUnreachable", "ServiceAccountMissing",
    "SharedMemoryFull", "SiteUnhealthy", "StorageClassMissing", "Suspended", "TrainingDisabled", "VolumeNotReady",
]  # fmt: skip

MEANING: dict[Code, tuple[str, str]] = {
    "UnknownField": (
        "A key in the document is not part of its kind.",
        "Use the nearest known name that the message gives, or remove the key.",
    ),
    "BadValue": (
        "A value has the wrong type or lies outside what is allowed.",
        "Correct the value at the place that the message names.",
    ),
    "MissingField": ("A required key is absent.", "Add the key; the schema of the kind lists what it may hold."),
    "BadYaml": ("The file is not well-formed YAML.", "Mend the line that the message names."),
    "BadReference": (
        "A reference cannot be read or names the wrong kind.",
        "Write azureml:NAME:VERSION, azureml:NAME@latest, a path or a URI.",
    ),
    "UnresolvedExpression": (
        "An expression names an input, output or value that does not exist.",
        "Declare it, or correct the name.",
    ),
    "FileNotFound": (
        "A file or folder that was named does not exist.",
        "Paths in a YAML file are relative to that file.",
    ),
    "BadName": (
        "A name breaks the rules of its noun.",
        "Use letters, digits, dashes, underscores and dots within the stated length.",
    ),
    "FileTooLarge": ("A file is larger than this operation accepts.", "Split it, or reference it through a datastore."),
    "BadEncoding": ("A text file is not UTF-8.", "Save it as UTF-8."),
    "NotFound": ("The thing does not exist in this workspace.", "List what exists; check the workspace."),
    "AlreadyExists": (
        "A thing of that name exists and create never overwrites.",
        "Use update, another name or a new version.",
    ),
    "OperationInProgress": ("Another operation on the same thing is under way.", "Wait for it to end, then try again."),
    "VersionConflict": ("The thing was changed by someone else in between.", "Read it again and repeat the change."),
    "InUse": ("The thing is still needed by another.", "Remove what uses it first; the message names it."),
    "Unauthenticated": (
        "No token came with the request, or it is unknown.",
        "Log in with `ferry login`, or set FERRY_TOKEN.",
    ),
    "TokenExpired": ("The token's life is over.", "Ask for a new token: `ferry token create`."),
    "TokenRevoked": ("The token was revoked.", "Ask the workspace's owner for a new one."),
    "Forbidden": (
        "The token's role does not allow this.",
        "Ask the workspace's owner for the role that the message names.",
    ),
    "NotYourSite": ("A site asked for what belongs to another site.", "Check which site's key is configured."),
    "BadGrant": (
        "A grant is missing, forged, expired or for something else.",
        "Let the server issue it: create the job or deployment through Ferry.",
    ),
    "JoinTokenUsed": (
        "The join token was used before, expired or never existed.",
        "Make a new one: `ferry site create` or `ferry site token`.",
    ),
    "ComputeNotFound": ("No compute of that name is attached.", "See `ferry compute list`, or attach one."),
    "SiteOffline": ("The site has not been heard from.", "Start its agent; work waits until it is back."),
    "ResidencyViolation": (
        "Data bound to a zone would leave it.",
        "Run in a site of that zone, or let the data's owner release it.",
    ),
    "ConsentMissing": (
        "The site runs processes of one user without isolation and has not accepted zone-bound data.",
        "Set accept_zone_bound on that site if this is acceptable.",
    ),
    "NoCapacity": ("No place can hold what was asked for.", "Ask for less, or add capacity."),
    "DigestMismatch": (
        "Bytes arrived that are not what their digest says.",
        "Send them again; if it persists, check disk and network.",
    ),
    "OffsetMismatch": ("An upload was continued at the wrong place.", "Ask for the offset and continue there."),
    "UploadTooLarge": ("An upload exceeds the limit.", "Raise max_upload_bytes on the server, or use a datastore."),
    "PathEscapes": ("A path leaves the folder it belongs to.", "Use plain relative paths without '..'."),
    "DiskFull": ("The disk has no room left.", "Free space, then try again; nothing was half written."),
    "BlobMissing": ("Content is not stored where it was looked for.", "Upload it, or check the site store."),
    "EnvironmentFailed": (
        "The job's or deployment's environment could not be made.",
        "The message names the package; mend the environment.",
    ),
    "ImageBuildFailed": (
        "The image of the environment could not be built on the site (Azure ML: ImageBuildFailure).",
        "The message has the first error lines of the build; all of it is in system_logs/environment.log.",
    ),
    "UserCodeFailed": (
        "The user's program ended with an error.",
        "The first error lines are in the message; see the logs.",
    ),
    "TimedOut": ("limits.timeout was exceeded.", "Raise the limit, or make the work shorter."),
    "MachineFailed": ("The machine failed, not the user's code.", "Ferry tries again by itself, up to its limit."),
    "StagingFailed": (
        "Code, inputs or model could not be brought to the site.",
        "The message names what; check the link and the datastore.",
    ),
    "UploadFailed": (
        "Outputs did not arrive at the site store or at the server.",
        "The message names what; check disk and link, then run again.",
    ),
    "InvalidInstanceType": (
        "The instance type does not exist or fits no node.",
        "See `ferry compute show` for the types.",
    ),
    "BadArgument": ("The deployment's settings contradict each other.", "Correct what the message names."),
    "ResourceNotReady": ("The deployment did not become ready in time.", "See `ferry online-deployment get-logs`."),
    "UserScriptInitFailed": (
        "init() of the scoring script raised.",
        "The traceback is in the message and in get-logs.",
    ),
    "UserScriptImportError": (
        "The scoring script imports what its environment lacks.",
        "Add the package to the environment.",
    ),
    "UserScriptFunctionNotFound": ("The scoring script lacks init() or run().", "Define both functions."),
    "DeploymentCrashLoopBackOff": ("The deployment's program keeps ending.", "See `ferry online-deployment get-logs`."),
    "NoValidDeployment": (
        "No deployment has traffic and none was named.",
        "Set traffic, or send azureml-model-deployment.",
    ),
    "TrafficInvalid": ("Traffic must add up to 0 or 100 and name deployments that exist.", "Correct the weights."),
    "EndpointNotFound": ("No such endpoint on this router.", "See `ferry online-endpoint list`."),
    "QueueWaitExceeded": (
        "All instances were busy longer than max_queue_wait_ms.",
        "Add instances or raise the limit.",
    ),
    "ModelTimeout": ("The model took longer than request_timeout_ms.", "Raise the timeout or make the model faster."),
    "ModelFailed": (
        "The model's program raised or ended during the request.",
        "See `ferry online-deployment get-logs`.",
    ),
    "GateRejected": (
        "The candidate did not prove better than the champion.",
        "The evidence has the numbers; the old model goes on serving.",
    ),
    "RolledBack": (
        "The rollout was undone because a limit was broken.",
        "The evidence has the numbers; the old revision serves.",
    ),
    "NoChampion": ("There is nothing to compare with yet.", "Deploy a first model, or set gate.no_champion."),
    "MetricMissing": (
        "A metric that the gate needs was not logged, or is not a number.",
        "Log it from the evaluation job.",
    ),
    "ClusterUnreachable": (
        "The cluster's API server did not answer its agent.",
        "Running work goes on; the agent tries again by itself. Check the API server.",
    ),
    "ClusterForbidden": (
        "The agent may not do this in the cluster, or its policy forbids the object.",
        "Apply the RoleBinding of that namespace, or change what the message names.",
    ),
    "ClusterRefused": ("The cluster does not accept the object as it is.", "Change what the message names."),
    "NamespaceMissing": (
        "The compute's namespace is not there, or the agent may not use it.",
        "Make it with `kubectl create namespace NAME` and give the agent its RoleBinding.",
    ),
    "NotLeader": ("Another agent of this site leads.", "Nothing to do: this one stands by."),
    "QuotaExceeded": (
        "The namespace's ResourceQuota has no room for the pods.",
        "Wait, ask for less, or let IT raise the quota.",
    ),
    "ImagePullFailed": (
        "The image could not be brought to the node.",
        "Check its name, the registry and the pull secret; the message has the registry's words.",
    ),
    "OutOfMemory": (
        "The program used more memory than its limit and was killed.",
        "Choose an instance type with more memory, or use less.",
    ),
    "PodRejected": (
        "The cluster cannot start the pod as it is described.",
        "The message has the kubelet's words; correct the image, command, mount or instance type.",
    ),
    "StaleAttempt": ("An older attempt of a job tried to write.", "Nothing to do: a newer attempt owns the job."),
    "EpochChanged": (
        "The server was restored from a backup; the site must relist.",
        "Nothing to do: the agent relists by itself.",
    ),
    "AgentTooOld": (
        "The site's agent is too old: for this server, or for something that one order asks.",
        "Upgrade the site's agent, then it goes on by itself. Server N serves agents N and N-1.",
    ),
    "ServerUnreachable": ("The server did not answer.", "Check FERRY_URL, the network and `ferry up`."),
    "ProxyFailed": ("The proxy refused or did not answer.", "Check the proxy's address and credentials."),
    "TlsFailed": ("The server's certificate could not be verified.", "Give the CA bundle that signed it."),
    "AlreadyRunning": ("It is running already.", "Use it, or stop it first."),
    "NotRunning": ("Nothing is running here.", "Start it with `ferry up`."),
    "MissingExtra": ("A part of Ferry is not installed.", "Run the command that the message gives."),
    "Usage": ("The command line could not be read.", "Run the command with --help to see its options."),
    "DatabaseTooNew": (
        "A newer version of Ferry has changed the database.",
        "Start that version again, or restore a backup made with this one.",
    ),
    "BackupDamaged": ("A backup is incomplete or was changed.", "Use another backup; nothing was restored."),
    "NotSupported": ("This is understood but not supported here.", "The message names what can be done instead."),
    "LimitExceeded": ("A count or size limit was exceeded.", "Stay below the limit that the message gives."),
    "BadRequest": ("The request could not be read.", "Check it against the OpenAPI document."),
    "Unavailable": ("The service cannot answer right now.", "Try again in a moment."),
    "Internal": ("A defect in Ferry.", "Report it with the request id; the server's log has the details."),
    "AdmissionDenied": (
        "The cluster's own rules refuse the pod: Pod Security, a webhook, a policy, a limit range, or a malformed "
        "field.",
        "The finding quotes the rule; IT grants an exception, or the job or instance type keeps to it.",
    ),
    "BuildsDisabled": (
        "The environment is an image that has to be built, and the site builds none.",
        "IT sets FERRY_CLUSTER_BUILD_REGISTRY (builds.registry in the chart), or give image instead of build.",
    ),
    "ClassMissing": (
        "A PriorityClass or RuntimeClass that is named does not exist.",
        "IT makes it, or the instance type names one that exists.",
    ),
    "ClockSkew": (
        "The site's clock differs from the server's.",
        "Start time synchronisation on the nodes; Ferry corrects its own signatures meanwhile.",
    ),
    "ClusterTooSmall": (
        "The cluster has too little left for Ferry itself or for the smallest job.",
        "Add a node, or free some.",
    ),
    "ContainerCannotStart": (
        "The container could not be started: no shell, a wrong program, a folder or a key that is missing.",
        "Correct image, command or the object that the finding names.",
    ),
    "DnsFailed": (
        "A name could not be resolved on the site.",
        "IT checks the cluster's DNS and the name in the settings or the image.",
    ),
    "GangWaiting": (
        "The pods of a distributed job start together, and not all of them have a place.",
        "It starts when other work ends; fewer or smaller instances start sooner.",
    ),
    "GatewayDown": (
        "The site's gateway does not answer; no new pod can start, what runs goes on.",
        "IT looks at the Deployment ferry-gateway and at network policies on port 8443.",
    ),
    "GpuPluginMissing": (
        "No node offers the device that was asked for, or its driver does not work.",
        "IT installs the device plugin and a matching driver, or choose an instance type without it.",
    ),
    "ImageAccessDenied": (
        "The registry does not let the site pull the image.",
        "Check its name; IT makes a pull secret and names it in image_pull_secrets.",
    ),
    "ImageInvalid": (
        "The image's name is malformed, or it was built for another architecture.",
        "Correct image:, or use a multi-platform image.",
    ),
    "ImageNotFound": (
        "There is no such image, or it is not on the node and the site never pulls.",
        "Correct the name and tag, or load it.",
    ),
    "ImagePullLoopBackOff": (
        "The image cannot be pulled.",
        "The finding quotes the node's words; check name, registry, and the way there.",
    ),
    "ImageRateLimited": (
        "The registry limits how often this address may pull.",
        "Give the site a pull secret of an account, or a mirror (image_registry).",
    ),
    "InferenceDisabled": (
        "The site does not serve endpoints.",
        "IT sets FERRY_CLUSTER_INFERENCE=true, or choose another compute.",
    ),
    "KubernetesTooOld": (
        "The cluster's Kubernetes is older than 1.29, which brought native sidecars.",
        "Upgrade the cluster.",
    ),
    "NetworkPolicyNotEnforced": (
        "The cluster's network plugin ignores network policies, as a probe has shown.",
        "Install a plugin that enforces them; until then nothing is claimed about isolation.",
    ),
    "NodeLost": (
        "The node of the pod was lost, shut down or removed.",
        "Ferry starts another attempt by itself.",
    ),
    "OutOfQuota": (
        "A ResourceQuota of the namespace leaves no room.",
        "Wait for other work to end, choose a smaller instance type, or IT raises the quota.",
    ),
    "PermissionMissing": (
        "Ferry's agent lacks a right in the cluster.",
        "IT applies the Role and RoleBinding of that namespace: upgrade the chart with it in `namespaces`.",
    ),
    "PodEvicted": (
        "The pod was put out of its node: memory, processes, or a drain.",
        "Ferry starts another attempt by itself; the finding says how to avoid it.",
    ),
    "PodOutOfMemory": (
        "The program used more memory than its instance type allows.",
        "Choose an instance type with more memory, or use less.",
    ),
    "PodPreempted": (
        "Work of higher priority took the pod's place.",
        "Ferry starts another attempt by itself; a PriorityClass of its own prevents it.",
    ),
    "PodUnschedulable": (
        "No node can take the pod now.",
        "The finding gives the figures: choose another instance type or compute, or wait.",
    ),
    "QueueWaiting": (
        "It waits in a queue of the cluster (Kueue) or behind a scheduling gate.",
        "It starts when the queue has room; IT checks the queue that is named.",
    ),
    "RegistryUnreachable": (
        "The nodes cannot reach the image's registry.",
        "IT opens the way, or names a mirror within the site.",
    ),
    "ServiceAccountMissing": (
        "The pod's service account does not exist in its namespace.",
        "kubectl create serviceaccount NAME, or correct the compute's identity.",
    ),
    "SharedMemoryFull": (
        "Shared memory (/dev/shm) of the pod is full.",
        "Raise resources.shm_size, or use fewer workers.",
    ),
    "SiteUnhealthy": (
        "The doctor found something on the site that keeps work from running.",
        "Mend what the finding names; `ferry site doctor NAME` looks again.",
    ),
    "StorageClassMissing": (
        "The cluster has no storage class, or none by default.",
        "IT makes one; without it only volumes that exist can be used.",
    ),
    "Suspended": (
        "The Job is suspended by somebody or by a queue.",
        "Whoever suspended it resumes it.",
    ),
    "TrainingDisabled": (
        "The site does not run jobs (training is switched off).",
        "IT sets FERRY_CLUSTER_TRAINING=true, or choose another compute.",
    ),
    "VolumeNotReady": (
        "A volume of the pod is not there: its claim is unbound or missing, or it cannot be attached or mounted.",
        "The finding names the claim or volume and what it lacks.",
    ),
}


def codes() -> tuple[str, ...]:
    """All codes, in the order of the catalogue."""
    return get_args(Code)
