"""Builds what calls others: the provider's client, and the sender of webhooks."""

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from prometheus_client import CollectorRegistry

from generation_svc.caller import CallerDirectory
from generation_svc.domain.job import Job
from generation_svc.lifecycle.dependencies import ProviderDependencies, WebhookDependencies
from generation_svc.provider.kie.callback import KieCallbackReader
from generation_svc.provider.kie.client import open_kie
from generation_svc.provider.kie.meter import KieMeter
from generation_svc.settings import GenerationSettings
from generation_svc.webhook.meter import WebhookMeter
from generation_svc.webhook.sender import open_sender
from runtime.redaction import redact


@dataclass(frozen=True, kw_only=True)
class Outgoing:
    """What calls others as the settings say."""

    settings: GenerationSettings
    now: Callable[[], datetime]
    registry: CollectorRegistry | None
    tls: ssl.SSLContext

    @asynccontextmanager
    async def provider(self, *, create_timeout: timedelta) -> AsyncIterator[ProviderDependencies]:
        """Open the client of the provider, and what reads the provider's callbacks."""
        accounts, keys = self.settings.kie_accounts, self.settings.kie_hmac_keys
        redact(*accounts.values(), *keys)
        async with open_kie(
            accounts,
            api_url=self.settings.kie_api_url,
            upload_url=self.settings.kie_upload_url,
            create_timeout=create_timeout,
            tls=self.tls,
        ) as client:
            yield ProviderDependencies(
                client=client,
                callbacks=KieCallbackReader(keys, now=self.now, meter=KieMeter(self.registry)),
                callback_base_url=self.settings.callback_base_url.rstrip("/") or None,
            )

    @asynccontextmanager
    async def webhooks(
        self, body: Callable[[Job], bytes], *, callers: CallerDirectory | None
    ) -> AsyncIterator[WebhookDependencies]:
        """Open what posts outcomes to the addresses of callers."""
        async with open_sender(
            allowed_hosts=self.settings.webhook_allowed_hosts,
            now=self.now,
            meter=WebhookMeter(self.registry),
            tls=self.tls,
        ) as sender:
            yield WebhookDependencies(
                sender=sender,
                body=body,
                secrets_of=callers.secrets_of if callers else lambda _: (),
            )
