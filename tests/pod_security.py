"""The Restricted Pod Security level of Kubernetes, as far as our pods can break it."""

VOLUMES = {
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret",
}  # fmt: skip


def faults(spec):
    """What the admission of Kubernetes would refuse in a pod's specification."""
    whole = spec.get("securityContext", {})
    found = [f"volume {v['name']}" for v in spec.get("volumes", ()) if not set(v) - {"name"} <= VOLUMES]
    found += [key for key in ("hostNetwork", "hostPID", "hostIPC") if spec.get(key)]
    for container in [*spec.get("initContainers", ()), *spec["containers"]]:
        own = container.get("securityContext", {})
        name = container["name"]
        if not own.get("runAsNonRoot", whole.get("runAsNonRoot")):
            found.append(f"{name} may run as root")
        if own.get("runAsUser", whole.get("runAsUser")) == 0:
            found.append(f"{name} runs as root")
        if own.get("allowPrivilegeEscalation") is not False or own.get("privileged"):
            found.append(f"{name} may gain privileges")
        if "ALL" not in own.get("capabilities", {}).get("drop", ()):
            found.append(f"{name} keeps capabilities")
        if set(own.get("capabilities", {}).get("add", ())) - {"NET_BIND_SERVICE"}:
            found.append(f"{name} adds capabilities")
        profile = own.get("seccompProfile", whole.get("seccompProfile", {})).get("type")
        if profile not in ("RuntimeDefault", "Localhost"):
            found.append(f"{name} has no seccomp profile")
        found += [f"{name} host port" for port in container.get("ports", ()) if port.get("hostPort")]
    return found
