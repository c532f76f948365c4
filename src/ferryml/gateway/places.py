"""From a datastore and its secret to a shelf: which service, where, and who we are there."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NoReturn

from ferryml.domain.errors import Refused
from ferryml.domain.orders import DatastorePath
from ferryml.gateway.azure import Azure, Container
from ferryml.gateway.credentials import ENTRA, Principal, ServiceAccount, Tokens
from ferryml.gateway.objects import Shelf
from ferryml.gateway.s3 import S3, Bucket
from ferryml.gateway.upstream import Upstream

GOOGLE = "https://storage.googleapis.com"
GOOGLE_TOKENS = "https://oauth2.googleapis.com/token"
ANY_REGION = "auto"
PREFIXES = ("aws_", "azure_storage_", "azure_", "google_")
"""Names as programs know them from their environment are understood, too."""
NAMED = "secret."
"""Options `secret.WHAT` say under which name the secret holds WHAT."""
OTHERS = (
    "Use a datastore of type s3, azure_blob, azure_data_lake_gen2, gcs, nfs or kubernetes_pvc, or an uploaded asset."
)


class Places:
    """Knows the services. `secret` is what the secret of a datastore holds, by its entries' names; empty: none."""

    def __init__(self, upstream: Upstream, now: Callable[[], datetime]) -> None:
        self._s3, self._azure, self._tokens = S3(upstream, now), Azure(upstream, now), Tokens(upstream, now)

    def shelf(self, place: DatastorePath, secret: Mapping[str, str]) -> Shelf[Any]:
        """Raises Refused for kinds that nobody reaches from here, and for secrets that lack something."""
        known = entries_of(place, secret)
        match place.kind:
            case "s3":
                return Shelf(self._s3, bucket_of(place, known))
            case "gcs":
                return Shelf(self._s3, self._google(place, known))
            case "azure_blob" | "azure_data_lake_gen2":
                return Shelf(self._azure, self._container(place, known))
        words = f"this site cannot reach datastore {place.datastore!r} of type {place.kind}"
        raise Refused("NotSupported", words, OTHERS)

    def _google(self, place: DatastorePath, known: Mapping[str, str]) -> Bucket:
        """Google's XML interface speaks S3, with its own tokens or with HMAC keys."""
        url, name = _url(place) or GOOGLE, _bucket(place)
        if not known:
            return Bucket(url, name, ANY_REGION)
        file = next((value for name, value in known.items() if name.endswith(".json")), "")
        if text := known.get("service_account_key") or known.get("application_credentials") or file:
            account = service_account(place, text)
            return Bucket(url, name, ANY_REGION, bearer=lambda: self._tokens.google(account))
        if known.get("access_key_id") and known.get("secret_access_key"):
            return Bucket(url, name, ANY_REGION, known["access_key_id"], known["secret_access_key"])
        _lacks(place, "service_account_key, or access_key_id and secret_access_key")

    def _container(self, place: DatastorePath, known: Mapping[str, str]) -> Container:
        account = place.options.get("account_name", "")
        url, name = blob_url(place, account), _bucket(place)
        if not known:
            return Container(url, account, name)
        if text := known.get("account_key") or known.get("key"):
            try:
                return Container(url, account, name, key=base64.b64decode(text, validate=True))
            except binascii.Error as error:
                raise Refused(
                    "BadValue", f"the account key of datastore {place.datastore!r} is not base64",
                    "IT: put it into the secret as the portal shows it.",
                ) from error  # fmt: skip
        if text := known.get("sas_token"):
            return Container(url, account, name, sas=text.lstrip("?"))
        if all(known.get(part) for part in ("tenant_id", "client_id", "client_secret")):
            authority = known.get("authority_host") or ENTRA
            who = Principal(known["tenant_id"], known["client_id"], known["client_secret"], authority)
            return Container(url, account, name, bearer=lambda: self._tokens.azure(who))
        _lacks(place, "account_key, sas_token, or tenant_id, client_id and client_secret")


def bucket_of(place: DatastorePath, known: Mapping[str, str]) -> Bucket:
    """An S3 bucket; `known` holds access_key_id, secret_access_key and perhaps session_token, or nothing."""
    if known and not (known.get("access_key_id") and known.get("secret_access_key")):
        _lacks(place, "access_key_id or secret_access_key")
    return Bucket(
        _url(place), _bucket(place), place.options.get("region", ""), known.get("access_key_id", ""),
        known.get("secret_access_key", ""), known.get("session_token", ""),
    )  # fmt: skip


def entries_of(place: DatastorePath, secret: Mapping[str, str]) -> dict[str, str]:
    """A secret's entries under the names that we use."""
    known: dict[str, str] = {}
    for name, value in secret.items():
        plain = name.lower().replace("-", "_")
        prefix = next((each for each in PREFIXES if plain.startswith(each)), "")
        known[plain.removeprefix(prefix)] = value.strip()
    for option, name in place.options.items():
        if option.startswith(NAMED):
            if name not in secret:
                _lacks(place, name)
            known[option.removeprefix(NAMED)] = secret[name].strip()
    return known


def service_account(place: DatastorePath, text: str) -> ServiceAccount:
    """From the JSON file of a key. Raises Refused."""
    try:
        said = json.loads(text)
        return ServiceAccount(
            str(said["client_email"]), str(said.get("token_uri") or GOOGLE_TOKENS), str(said["private_key"]),
            str(said.get("private_key_id") or ""),
        )  # fmt: skip
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Refused(
            "BadValue", f"the service_account_key of datastore {place.datastore!r} is not the JSON file of a key",
            "IT: put the file, unchanged, into the secret.",
        ) from error  # fmt: skip


def blob_url(place: DatastorePath, account: str) -> str:
    """Of an account's Blob service: `endpoint` is a suffix as Azure's own (core.windows.net), a host, or an address."""
    endpoint, scheme = place.options.get("endpoint", "").rstrip("/"), place.options.get("protocol") or "https"
    if "://" in endpoint:
        return endpoint
    if not endpoint or endpoint.startswith("core."):
        return f"{scheme}://{account}.blob.{endpoint or 'core.windows.net'}"
    return f"{scheme}://{endpoint}"


def _url(place: DatastorePath) -> str:
    endpoint, scheme = place.options.get("endpoint", "").rstrip("/"), place.options.get("protocol") or "https"
    return endpoint if "://" in endpoint or not endpoint else f"{scheme}://{endpoint}"


def _bucket(place: DatastorePath) -> str:
    return place.root.partition("://")[2].partition("/")[0]


def _lacks(place: DatastorePath, what: str) -> NoReturn:
    words = f"the secret of datastore {place.datastore!r} lacks {what}"
    raise Refused("MissingField", words, "IT: put it into the Secret that secret_ref names.")
