"""The knobs of the control plane."""

from pathlib import Path
from typing import Annotated, ClassVar, Self

from pydantic import Field, field_validator, model_validator

from ferryml.domain.addresses import networks
from ferryml.settings.knob import Knob, OptionalPath, Settings

KIB, MIB, GIB = 1024, 1024**2, 1024**3
HOUR, DAY = 3600, 86_400


class ServerSettings(Settings):
    """Read from FERRY_SERVER_* and the section `server`; every default suits one person on one machine."""

    section: ClassVar[str] = "server"

    # Where it listens
    host: Annotated[str, Knob("Address to listen on; anything but loopback wants TLS.")] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535), Knob("Port to listen on.", off="0 takes any free port")] = 8765
    public_url: Annotated[
        str,
        Knob(
            "The address people and sites use, where a load balancer stands in front.", off="empty: from host and port"
        ),
    ] = ""
    tls_cert: Annotated[
        OptionalPath, Knob("PEM certificate chain; with tls_key it switches HTTPS on.", off="empty")
    ] = None
    tls_key: Annotated[OptionalPath, Knob("PEM private key of tls_cert.", off="empty")] = None
    allow_insecure: Annotated[
        bool, Knob("Plain HTTP off loopback, for a TLS proxy in front; tokens would travel in the clear.", off="false")
    ] = False

    # What it keeps
    state_dir: Annotated[Path, Knob("Folder of database, artifacts and encryption key when those are local.")] = Path(
        ".ferry"
    )
    database_url: Annotated[
        str,
        Field(repr=False),
        Knob("SQLAlchemy URL of the store, PostgreSQL 15 or newer.", off="empty: SQLite in state_dir", secret=True),
    ] = ""
    mlflow_database_url: Annotated[
        str,
        Field(repr=False),
        Knob("SQLAlchemy URL of MLflow's own database.", off="empty: SQLite in state_dir", secret=True),
    ] = ""
    artifacts_url: Annotated[
        str,
        Field(repr=False),
        Knob(
            "Where files are kept: file://, s3://, az:// or gs://. Several replicas need an object store.",
            off="empty: state_dir/artifacts",
            secret=True,
        ),
    ] = ""
    encryption_key_file: Annotated[
        OptionalPath,
        Knob("File with the key that encrypts secrets at rest; shared by all replicas.", off="empty: state_dir/key"),
    ] = None
    replicas: Annotated[
        int,
        Field(ge=1),
        Knob(
            "Server processes on one database; above 1 local artifact files and SQLite are refused.", unit="processes"
        ),
    ] = 1

    agent_chart: Annotated[
        str, Knob("Where people find the chart ferry-agent: a folder, an archive's address, or oci://...")
    ] = "deploy/helm/ferry-agent"

    # Tokens and the link
    token_ttl_s: Annotated[int, Field(ge=60), Knob("Life of a person's token when none is asked for.", unit="s")] = (
        30 * DAY
    )
    max_token_ttl_s: Annotated[int, Field(ge=60), Knob("Longest life that may be asked for.", unit="s")] = 365 * DAY
    join_token_ttl_s: Annotated[int, Field(ge=1), Knob("Life of the one-time token that enrols a site.", unit="s")] = (
        HOUR
    )
    connect_limit_s: Annotated[
        int,
        Field(ge=0),
        Knob("Longest life of a shell in a running job; its site must allow them, too.", unit="s", off="0"),
    ] = 4 * HOUR
    job_token_ttl_s: Annotated[
        int, Field(ge=60), Knob("Life of the token that a job or a deployment holds; the gateway renews it.", unit="s")
    ] = DAY
    stop_limit_s: Annotated[
        float,
        Field(ge=0, le=3600),
        Knob(
            "After SIGTERM: when a server that has not ended says where its threads stand, and is gone; nothing "
            "durable is lost by that. Below the 30 s after which Kubernetes kills.",
            unit="s",
            off="0",
        ),
    ] = 20
    endpoint_token_ttl_s: Annotated[
        int, Field(ge=60, le=DAY), Knob("Life of a token that opens an endpoint with auth_mode aml_token.", unit="s")
    ] = HOUR
    endpoint_token_key_days: Annotated[
        int, Field(ge=0), Knob("Age at which the key that signs such tokens is replaced.", unit="days", off="0 never")
    ] = 90
    wish_poll_s: Annotated[
        float,
        Field(ge=0, le=60),
        Knob(
            "How long a site's question for wishes is held open; below proxies' idle limits.",
            unit="s",
            off="0 answers at once",
        ),
    ] = 25
    site_offline_s: Annotated[
        float, Field(gt=0), Knob("Silence after which a site counts as disconnected; work there goes on.", unit="s")
    ] = 60

    # Webhooks: the only way out of the server
    webhook_allow_http: Annotated[
        bool,
        Knob("Webhooks with plain http, for receivers inside; what is sent is signed, but not hidden.", off="false"),
    ] = False
    webhook_networks: Annotated[
        str,
        Knob(
            "Networks that webhooks may reach beside public addresses, such as `10.1.0.0/16, fd00::/8`. Else no "
            "private, loopback or link-local address is connected to, whatever a name resolves to.",
            off="empty",
        ),
    ] = ""
    webhook_ca_bundle: Annotated[
        OptionalPath,
        Knob("PEM file of authorities that sign receivers' certificates, beside the system's.", off="empty"),
    ] = None
    webhook_timeout_s: Annotated[
        float, Field(gt=0, le=30), Knob("How long a receiver has for its whole answer.", unit="s")
    ] = 10
    webhook_retry_s: Annotated[
        int,
        Field(ge=0),
        Knob("How long after an event its delivery is tried again; then it is given up.", unit="s", off="0 tries once"),
    ] = DAY
    webhook_waiting: Annotated[
        int, Field(ge=1, le=1000), Knob("Most events that wait for one webhook; later ones are refused.", unit="events")
    ] = 500

    # Loops
    lease_s: Annotated[
        float,
        Field(gt=0),
        Knob("How long a loop owns what it works on; another replica takes over afterwards.", unit="s"),
    ] = 15
    loop_tick_s: Annotated[
        float, Field(gt=0), Knob("Longest time between two looks of a loop when nothing wakes it.", unit="s")
    ] = 0.5
    loop_batch: Annotated[int, Field(ge=1), Knob("Most rows that a loop takes in one turn.", unit="rows")] = 100

    # Limits against hostile or mistaken input
    max_upload_bytes: Annotated[int, Field(ge=1), Knob("Largest single artifact.", unit="bytes")] = 100 * GIB
    max_body_bytes: Annotated[
        int, Field(ge=KIB), Knob("Largest request body that is not an artifact.", unit="bytes")
    ] = 16 * MIB
    upload_part_bytes: Annotated[
        int, Field(ge=5 * MIB), Knob("Size of one part of a resumable upload; S3 wants at least 5 MiB.", unit="bytes")
    ] = 8 * MIB
    upload_ttl_s: Annotated[int, Field(ge=60), Knob("How long an unfinished upload can be resumed.", unit="s")] = DAY
    page_size: Annotated[
        int, Field(ge=1, le=10_000), Knob("Rows of a list when the caller names no number.", unit="rows")
    ] = 100
    audit_keep_days: Annotated[
        int, Field(ge=0), Knob("How long audit rows are kept.", unit="days", off="0 keeps them for ever")
    ] = 0

    @field_validator("webhook_networks")
    @classmethod
    def _are_networks(cls, text: str) -> str:
        networks(text)
        return text

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("tls_cert and tls_key go together: give both or neither")
        if self.replicas > 1 and (
            not self.database_url.startswith("postgresql")
            or not self.artifacts_url
            or self.artifacts_url.startswith("file:")
        ):
            raise ValueError("several replicas need a PostgreSQL database_url and an object store as artifacts_url")
        return self
