"""The configuration files and command lines of a cluster's programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from kubebox.images import PAUSE
from kubebox.network import Addresses

HUB_NAME = "hub.kubebox.test"
LOST_S = 20  # a silent node is NotReady after this time; 50 s are usual, and too long for tests
CNI_FOLDERS = ("/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni")


def api_server(program: Path, at: Addresses) -> list[str]:
    """kube-apiserver; paths are below the cluster's folder, in which it runs."""
    return [
        *(str(program), "kube-apiserver", "--etcd-servers", "http://127.0.0.1:2379"),
        *("--bind-address", "0.0.0.0", "--advertise-address", at.node(0), "--secure-port", "6443"),
        *("--tls-cert-file", "pki/apiserver.crt", "--tls-private-key-file", "pki/apiserver.key"),
        *("--client-ca-file", "pki/ca.crt", "--service-cluster-ip-range", at.services),
        *("--service-account-issuer", "https://kubernetes.default.svc"),
        *("--service-account-key-file", "pki/sa.pub", "--service-account-signing-key-file", "pki/sa.key"),
        *("--authorization-mode", "Node,RBAC", "--enable-admission-plugins", "NodeRestriction", "--allow-privileged"),
        *("--kubelet-client-certificate", "pki/admin.crt", "--kubelet-client-key", "pki/admin.key"),
        *("--requestheader-client-ca-file", "pki/front.crt", "--requestheader-username-headers", "X-Remote-User"),
        *("--requestheader-group-headers", "X-Remote-Group", "--requestheader-extra-headers-prefix", "X-Remote-Extra-"),
        *("--kubelet-certificate-authority", "pki/ca.crt", "--kubelet-preferred-address-types", "InternalIP"),
    ]


def etcd(program: Path) -> list[str]:
    """Without fsync: what a test cluster holds may be lost when the machine falls over."""
    return [
        *(str(program), "etcd", "--data-dir", "etcd", "--unsafe-no-fsync", "--logger", "zap", "--log-level", "warn"),
        *("--listen-client-urls", "http://127.0.0.1:2379", "--advertise-client-urls", "http://127.0.0.1:2379"),
        *("--listen-peer-urls", "http://127.0.0.1:2380"),
    ]


def controllers(program: Path, at: Addresses) -> list[str]:
    """kube-controller-manager."""
    return [
        *(str(program), "kube-controller-manager", *_own_kubeconfig("controllers")),
        *("--service-account-private-key-file", "pki/sa.key", "--root-ca-file", "pki/ca.crt"),
        *("--cluster-signing-cert-file", "pki/ca.crt", "--cluster-signing-key-file", "pki/ca.key"),
        *("--cluster-cidr", at.pods, "--allocate-node-cidrs=false", "--use-service-account-credentials"),
        *("--node-monitor-period", "2s", "--node-monitor-grace-period", f"{LOST_S}s"),
    ]


def scheduler(program: Path) -> list[str]:
    """kube-scheduler."""
    return [str(program), "kube-scheduler", *_own_kubeconfig("scheduler")]


def _own_kubeconfig(label: str) -> list[str]:
    file = f"{label}.kubeconfig"
    options = ("--kubeconfig", "--authentication-kubeconfig", "--authorization-kubeconfig")
    return [
        *(word for option in options for word in (option, file)),
        "--leader-elect=false",
        *("--bind-address", "127.0.0.1"),
    ]


def kubelet(program: Path, folder: Path, at: Addresses, number: int, name: str) -> list[str]:
    """kubelet of one node."""
    return [
        *(str(program), "kubelet", "--kubeconfig", "kubelet.kubeconfig", "--config", "kubelet.yaml"),
        *("--root-dir", f"{folder}/kubelet", "--hostname-override", name, "--node-ip", at.node(number), "--v", "1"),
    ]


def proxy(program: Path, at: Addresses, number: int, name: str) -> list[str]:
    """kube-proxy of one node."""
    return [
        *(str(program), "kube-proxy", "--kubeconfig", "proxy.kubeconfig", "--proxy-mode", "nftables"),
        *("--hostname-override", name, "--cluster-cidr", at.pods, "--bind-address", at.node(number)),
        *("--conntrack-max-per-core", "0"),
    ]


def kubelet_config(folder: Path, at: Addresses, group: str) -> str:
    """JSON, which is YAML."""
    return json.dumps(
        {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": str(folder / "pki/ca.crt")},
            },
            "authorization": {"mode": "Webhook"},
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{group}",
            "clusterDomain": "cluster.local",
            "clusterDNS": [at.dns_service],
            "containerRuntimeEndpoint": f"unix://{folder}/containerd.sock",
            "evictionHard": {
                "memory.available": "100Mi",
                "nodefs.available": "1%",
                "imagefs.available": "1%",
                "nodefs.inodesFree": "1%",
            },
            "failSwapOn": False,
            "imageGCHighThresholdPercent": 100,
            "maxPods": 200,
            "nodeLeaseDurationSeconds": LOST_S,
            "podLogsDir": str(folder / "podlogs"),
            "resolvConf": str(folder / "resolv.conf"),
            "serializeImagePulls": False,
            "tlsCertFile": str(folder / "pki/kubelet.crt"),
            "tlsPrivateKeyFile": str(folder / "pki/kubelet.key"),
        },
        indent=1,
    )


def containerd_config(folder: Path, snapshotter: str) -> str:
    """Every path of its own, so that several run beside each other and beside the machine's own."""
    programs = next((f for f in CNI_FOLDERS if Path(f, "ptp").exists()), CNI_FOLDERS[0])
    return f"""\
version = 2
root = "{folder}/containerd"
state = "{folder}/containerd-run"
[grpc]
  address = "{folder}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  sandbox_image = "{PAUSE}"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{programs}"
    conf_dir = "{folder}/cni"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "{folder}/registries"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "{snapshotter}"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
"""


def cni(folder: Path, at: Addresses, number: int) -> str:
    """Pods are routed, not bridged: every packet passes the node's own rules, also between two pods of one node."""
    routed = {
        "type": "ptp",
        "ipMasq": False,
        "ipam": {
            "type": "host-local",
            "ranges": [[{"subnet": at.node_pods(number)}]],
            "routes": [{"dst": "0.0.0.0/0"}],
            "dataDir": str(folder / "cni-data"),
        },
    }
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    return json.dumps({"cniVersion": "1.0.0", "name": "kubebox", "plugins": [routed, ports]}, indent=1)


def corefile(folder: Path, at: Addresses) -> str:
    """The cluster's names, a name for the hub, and a quick no to everything else."""
    return f"""\
.:53 {{
  bind {at.node(0)}
  errors
  template ANY ANY . {{
    rcode NXDOMAIN
  }}
}}
{HUB_NAME.partition(".")[2]}:53 {{
  bind {at.node(0)}
  hosts {{
    {at.hub} {HUB_NAME}
  }}
}}
cluster.local:53 in-addr.arpa:53 {{
  bind {at.node(0)}
  errors
  kubernetes cluster.local in-addr.arpa {{
    kubeconfig {folder}/internal.kubeconfig
    pods insecure
  }}
}}
"""


def first_objects(at: Addresses) -> Sequence[dict[str, object]]:
    """What every cluster has and nobody installs: its DNS service and a default storage class."""
    labels = {"k8s-app": "kube-dns", "kubernetes.io/cluster-service": "true"}
    ports = [("dns", "UDP"), ("dns-tcp", "TCP")]
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "kube-dns", "namespace": "kube-system", "labels": labels},
            "spec": {
                "clusterIP": at.dns_service,
                "ports": [{"name": name, "protocol": kind, "port": 53, "targetPort": 53} for name, kind in ports],
            },
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": "kube-dns",
                "namespace": "kube-system",
                "labels": {"kubernetes.io/service-name": "kube-dns"},
            },
            "addressType": "IPv4",
            "endpoints": [{"addresses": [at.node(0)], "conditions": {"ready": True}}],
            "ports": [{"name": name, "protocol": kind, "port": 53} for name, kind in ports],
        },
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {
                "name": "standard",
                "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
            },
            "provisioner": "kubebox.test/shared-folder",
            "reclaimPolicy": "Delete",
            "volumeBindingMode": "Immediate",
        },
    ]
