"""A router pod's way to the gateway for what it recorded: HTTPS as the routers' service account."""

from __future__ import annotations

import ssl

import httpx

from ferryml.domain.collection import Batch
from ferryml.domain.errors import Unauthenticated, Unavailable
from ferryml.sdk.wire import error_of
from ferryml.settings import RouterSettings

TIMEOUT = httpx.Timeout(60, connect=5)


class GatewayRecords:
    """`router.shipping.Send`. Certificate and token are read anew when they change: both are renewed while it runs."""

    def __init__(self, settings: RouterSettings, transport: httpx.BaseTransport | None = None) -> None:
        self._settings, self._transport = settings, transport
        self._authority = ""
        self._client: httpx.Client | None = None

    def __call__(self, batch: Batch, data: bytes) -> None:
        """Raises Unavailable to be asked again, Refused for what the gateway will never take."""
        client, token = self._ready()
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/jsonl"}
        try:
            answer = client.post("/v1/collected", params=batch.model_dump(), content=data, headers=headers)
        except httpx.HTTPError as error:
            why = str(error) or type(error).__name__
            raise Unavailable("Unavailable", f"the site's gateway did not answer: {why}") from error
        if answer.is_success:
            return
        said = error_of(answer)
        if isinstance(said, Unauthenticated) or answer.status_code >= 500:
            # a token that is about to be renewed, or a gateway that begins anew, is no reason to lose records
            raise Unavailable("Unavailable", said.message)
        raise said

    def close(self) -> None:
        if self._client is not None:
            self._client.close()

    def _ready(self) -> tuple[httpx.Client, str]:
        authority, token = self._settings.collect_ca_file, self._settings.collect_token_file
        try:
            trusted = authority.read_text() if authority else ""
            shown = token.read_text().strip() if token else ""
            if self._client is None or trusted != self._authority:
                self._client = self._open(trusted)
                self._authority = trusted
        except (OSError, ssl.SSLError, ValueError) as error:
            raise Unavailable(
                "Unavailable", f"the gateway's certificate or our token is not here yet: {error}"
            ) from error
        return self._client, shown

    def _open(self, trusted: str) -> httpx.Client:
        self.close()
        verify = ssl.create_default_context(cadata=trusted or None)
        return httpx.Client(
            base_url=self._settings.collect_url.rstrip("/"), trust_env=False, timeout=TIMEOUT,
            transport=self._transport or httpx.HTTPTransport(verify=verify),
        )  # fmt: skip
