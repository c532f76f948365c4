"""The knobs of the router, the door through which predictions enter a site."""

from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field

from ferryml.settings.knob import Knob, OptionalPath, Settings
from ferryml.settings.server import MIB


class RouterSettings(Settings):
    """Read from FERRY_ROUTER_* and the section `router`; host and port belong to the site."""

    section: ClassVar[str] = "router"

    tls_cert: Annotated[
        OptionalPath, Knob("PEM certificate chain of the scoring address.", off="empty: plain HTTP")
    ] = None
    tls_key: Annotated[OptionalPath, Knob("PEM private key of tls_cert.", off="empty")] = None
    allow_insecure: Annotated[
        bool, Knob("Plain HTTP off loopback; endpoint keys would travel in the clear.", off="false")
    ] = False
    keyless: Annotated[
        bool,
        Knob("On a local site: programs of this machine may ask without a key, as `--local` has it.", off="false"),
    ] = False
    max_body_bytes: Annotated[int, Field(ge=1), Knob("Largest scoring request; larger ones get 413.", unit="bytes")] = (
        100 * MIB
    )
    max_connections: Annotated[
        int, Field(ge=1), Knob("Connections from callers at once; further ones wait in the kernel.", unit="connections")
    ] = 2000
    connect_timeout_s: Annotated[
        float, Field(gt=0), Knob("Longest wait for a connection to a model server; then another is tried.", unit="s")
    ] = 2
    idle_timeout_s: Annotated[
        float, Field(gt=0), Knob("How long an idle connection of a caller is kept.", unit="s")
    ] = 75
    probe_period_s: Annotated[
        float, Field(gt=0), Knob("Pause between readiness probes where a deployment names none.", unit="s")
    ] = 1
    mirror_queue: Annotated[
        int,
        Field(ge=0),
        Knob(
            "Mirrored requests waiting for the tap; above it copies are dropped and counted.",
            unit="requests",
            off="0 mirrors nothing",
        ),
    ] = 256
    mirror_body_bytes: Annotated[
        int, Field(ge=0), Knob("Largest body that is mirrored or collected.", unit="bytes")
    ] = 4 * MIB
    counter_window_s: Annotated[float, Field(gt=0), Knob("Span of the counters that rollouts decide on.", unit="s")] = (
        60
    )
    counter_interval_s: Annotated[float, Field(gt=0), Knob("How often counters are handed to the site.", unit="s")] = 1
    threads: Annotated[int, Field(ge=1, le=64), Knob("Threads of HAProxy; as many as it has CPUs.", unit="threads")] = 2
    buffer_bytes: Annotated[
        int,
        Field(ge=16384, le=1024**2),
        Knob("HAProxy's buffer; requests and answers up to 30 % of it, at most 19,500 bytes, can be mirrored.",
             unit="bytes"),
    ] = 65536  # fmt: skip
    cors_origins: Annotated[
        str, Knob("Web origins that may call endpoints, with blanks between; * for any.", off="empty")
    ] = ""
    collect_bytes: Annotated[
        int, Field(ge=0), Knob("Room for records that the gateway has not taken yet.", unit="bytes", off="0")
    ] = 256 * MIB
    collect_ship_s: Annotated[
        float, Field(gt=0), Knob("How long records wait for company before the gateway gets them.", unit="s")
    ] = 30
    collect_url: Annotated[
        str, Knob("In a cluster: the gateway that takes records.", off="empty: they are not handed over")
    ] = ""
    collect_ca_file: Annotated[
        OptionalPath, Knob("In a cluster: PEM authority of that gateway.", off="empty: the system's")
    ] = None
    collect_token_file: Annotated[
        OptionalPath, Knob("In a cluster: the routers' token for the audience ferry-gateway.", off="empty")
    ] = None
    folder: Annotated[Path, Knob("In a cluster: files and sockets that HAProxy, sidecar and tap share.")] = Path(
        "/run/ferry-router"
    )
    bind: Annotated[str, Knob("In a cluster: scoring address as HOST:PORT.")] = "0.0.0.0:8080"
    in_cluster: Annotated[
        bool, Knob("Whether table, pods and certificate are watched in the cluster around us.", off="false: table_file")
    ] = False
    table_file: Annotated[
        OptionalPath, Knob("Without a cluster: RouterTable as JSON, served whenever it changes.", off="empty")
    ] = None
    tls_secret: Annotated[
        str, Knob("In a cluster: Secret with tls.crt and tls.key of the scoring address.", off="empty: plain HTTP")
    ] = ""
    replica: Annotated[
        str, Knob("In a cluster: this replica's name among the table's peers.", off="empty: the pod's")
    ] = ""
    peer_bind: Annotated[str, Knob("In a cluster: HOST:PORT for the other replicas.", off="empty: one replica")] = ""
    peer_secret_file: Annotated[
        OptionalPath, Knob("In a cluster: what replicas know one another by; 16 letters or more.", off="empty")
    ] = None
    door_bind: Annotated[str, Knob("In a cluster: HOST:PORT of what the sidecar tells the operator.")] = "0.0.0.0:9402"
    metrics_bind: Annotated[str, Knob("In a cluster: HOST:PORT of metrics and probes of the sidecar, plain HTTP.")] = (
        "0.0.0.0:9403"
    )
    door_secret_file: Annotated[
        OptionalPath, Knob("Without a cluster: bearer of those who ask for state.", off="empty: nobody may")
    ] = None
    certificate_name: Annotated[
        str, Knob("Name that the certificate must be for (CNAME of the scoring address).", off="empty")
    ] = ""
