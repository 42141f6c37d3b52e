"""Posts webhooks as in Standard Webhooks 1.0, only to the internet.

Of the answer only its status and Retry-After are read. A redirect is an answer like any other and
is never followed. Every post has a connection of its own, no cookie, no proxy.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import httpx2

from generation_svc.domain.error import FieldViolation, InvalidInputs
from generation_svc.domain.port.webhook import WebhookAnswer, WebhookPost
from generation_svc.egress.host import HostList
from generation_svc.egress.internet import Internet, NotOnInternet, http_client
from generation_svc.egress.resolver import Resolver
from generation_svc.egress.tls import client_tls, without_environment
from generation_svc.webhook.address import problem_of
from generation_svc.webhook.meter import WebhookMeter
from generation_svc.webhook.problem import in_words
from generation_svc.webhook.signature import signatures
from runtime.clock import utc_now

DEADLINE = timedelta(seconds=15)
"""How long a post may take, from the look-up of the name to the status."""

_LONGEST_RETRY_AFTER = timedelta(days=1)
_UNLIMITED = httpx2.Limits(max_connections=None, max_keepalive_connections=0)


@asynccontextmanager
async def open_sender(
    *,
    allowed_hosts: Iterable[str] = (),
    now: Callable[[], datetime] = utc_now,
    meter: WebhookMeter | None = None,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[HttpWebhookSender]:
    """Open a sender; the allowed hosts, as `host:port`, may be private and speak plain http.

    Receivers refuse a time that is minutes off, so `now` is one that all replicas agree on.
    """
    async with http_client(
        part="webhooks",
        trust_env=False,
        verify=without_environment(tls or client_tls()),
        timeout=DEADLINE.total_seconds(),
        limits=_UNLIMITED,
    ) as http:
        yield HttpWebhookSender(http, allowed_hosts=allowed_hosts, now=now, meter=meter)


class HttpWebhookSender:
    """`WebhookSender` over HTTP."""

    def __init__(
        self,
        http: httpx2.AsyncClient,
        *,
        allowed_hosts: Iterable[str] = (),
        resolver: Resolver | None = None,
        deadline: timedelta = DEADLINE,
        now: Callable[[], datetime] = utc_now,
        meter: WebhookMeter | None = None,
    ) -> None:
        self._internet = Internet(http, resolver=resolver)
        self._allowed = HostList(allowed_hosts)
        self._deadline = deadline
        self._now = now
        self._meter = meter or WebhookMeter()

    def check(self, url: str, *, field: str = "webhook.url") -> None:
        """Raise InvalidInputs, with one violation of the field, for what is never posted to."""
        problem = problem_of(url, allowed=self._allowed)
        if problem:
            raise InvalidInputs((FieldViolation(field, problem),))

    async def post(self, post: WebhookPost) -> WebhookAnswer:
        """Post once, in bounded time; whatever goes wrong is an answer, too."""
        answer = await self._answer(post)
        self._meter.posts.labels(f"{answer.status // 100}xx" if answer.status else "none").inc()
        return answer

    async def _answer(self, post: WebhookPost) -> WebhookAnswer:
        if problem := problem_of(post.url, allowed=self._allowed):  # the settings may have changed
            return WebhookAnswer(0, problem=problem)
        try:
            async with asyncio.timeout(self._deadline.total_seconds()):
                return await self._exchange(post)
        except (NotOnInternet, httpx2.HTTPError, OSError, UnicodeError) as error:
            return WebhookAnswer(0, problem=in_words(error))  # TimeoutError is an OSError

    async def _exchange(self, post: WebhookPost) -> WebhookAnswer:
        url = httpx2.URL(post.url)
        response = await self._internet.send(
            "POST",
            url,
            is_private_meant=self._allowed.rule_for(url) is not None,
            headers=_headers(post, time=self._now()),
            content=post.body,
        )
        # The body is never read: it may be endless, and nothing in it matters.
        await response.aclose()
        retry_after = _retry_after(response.headers.get("retry-after", ""), now=self._now())
        return WebhookAnswer(response.status_code, retry_after=retry_after)


def _headers(post: WebhookPost, *, time: datetime) -> dict[str, str]:
    timestamp = str(int(time.timestamp()))
    content = f"{post.id}.{timestamp}.".encode() + post.body
    return {
        "Content-Type": "application/json",
        "Webhook-Id": str(post.id),
        "Webhook-Timestamp": timestamp,
        "Webhook-Signature": signatures(content, secrets=post.secrets),
    }


def _retry_after(value: str, *, now: datetime) -> timedelta | None:
    """Read Retry-After, seconds or a date (RFC 9110 §10.2.3); None for anything else."""
    if value.isascii() and value.isdecimal():
        # Nine digits are more than is waited for anyway; a number of any length would take its
        # time.
        return timedelta(seconds=min(int(value[:9]), _LONGEST_RETRY_AFTER.total_seconds()))
    try:
        time = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    time = time if time.tzinfo else time.replace(tzinfo=UTC)
    return min(max(time - now, timedelta(0)), _LONGEST_RETRY_AFTER)
