"""The client of KIE's HTTP API (kie-api.md §1, §2, §5)."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx2
import structlog

from generation_svc.domain.error import (
    ProviderError,
    ProviderRefused,
    ProviderSilent,
    ProviderUnreachable,
)
from generation_svc.domain.failure import SENTENCES, FailureReason
from generation_svc.domain.observation import Observation, ProviderState
from generation_svc.domain.port.provider import FreshLink, ProviderRequest, Submitted
from generation_svc.egress.tls import client_tls
from generation_svc.provider.kie.answer import Answer, read_answer, task_id_within
from generation_svc.provider.kie.document import (
    MAX_SIZE,
    Document,
    as_document,
    as_task_id,
    code_of,
    message_of,
)
from generation_svc.provider.kie.error import NoAnswer, document_of, error_of, translated
from generation_svc.provider.kie.form import Form
from generation_svc.provider.kie.link import is_link
from generation_svc.provider.kie.payload import read_record, told_at_once
from generation_svc.provider.kie.success_rate import normal_share_of
from runtime.file import size_of
from runtime.version import product_version

log = structlog.get_logger(__name__)

PROVIDER = "kie"
"""What KIE is called in paths and rows; these are promised to stay."""

DEFAULT_API_URL = "https://api.kie.ai"
DEFAULT_UPLOAD_URL = "https://kieai.redpandaai.co"

CREATE_TIMEOUT = timedelta(seconds=20)
"""How long createTask may take to answer; live it takes 0.3 to 0.9 s."""

UPLOAD_PATH = "images/atelier"
"""The folder for uploads at KIE."""

_CONNECT_S = 5
_READ = httpx2.Timeout(10, connect=_CONNECT_S)
_UPLOAD = httpx2.Timeout(20, connect=_CONNECT_S)
_UPLOAD_BYTES_PER_SECOND = 256 * 2**10
"""How fast a file is taken at least; a large one has as much more time."""
_LIMITS = httpx2.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=30)


@asynccontextmanager
async def open_kie(
    keys: Mapping[str, str],
    *,
    api_url: str = DEFAULT_API_URL,
    upload_url: str = DEFAULT_UPLOAD_URL,
    create_timeout: timedelta = CREATE_TIMEOUT,
    transport: httpx2.AsyncBaseTransport | None = None,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[KieClient]:
    """Open a client for accounts by name; their keys go to these two hosts only."""
    headers = {"User-Agent": user_agent()}
    async with httpx2.AsyncClient(
        headers=headers,
        timeout=_READ,
        limits=_LIMITS,
        transport=transport,
        verify=tls or client_tls(),
    ) as http:
        yield KieClient(
            http, keys=keys, api_url=api_url, upload_url=upload_url, create_timeout=create_timeout
        )


def user_agent() -> str:
    """Return the name under which we call: Cloudflare refuses the defaults of some libraries."""
    return f"Atelier/{product_version()} (generation service)"


class KieClient:
    """`Provider` on KIE. One request each, never repeated here."""

    name = PROVIDER
    """What it is called in the paths of its callbacks, and in rows."""

    def __init__(
        self,
        http: httpx2.AsyncClient,
        *,
        keys: Mapping[str, str],
        api_url: str = DEFAULT_API_URL,
        upload_url: str = DEFAULT_UPLOAD_URL,
        create_timeout: timedelta = CREATE_TIMEOUT,
    ) -> None:
        self._http, self._keys = http, dict(keys)
        self._api_url = f"{api_url.rstrip('/')}/api/v1"
        self._upload_url = f"{upload_url.rstrip('/')}/api/file-stream-upload"
        self._create_timeout = httpx2.Timeout(create_timeout.total_seconds(), connect=_CONNECT_S)

    @property
    def accounts(self) -> Sequence[str]:
        """The names of the accounts, in the order of the settings."""
        return tuple(self._keys)

    @property
    def is_proved(self) -> bool:
        """Whether answers come over TLS, so that KIE alone can have given them."""
        return self._api_url.startswith("https://")

    async def submit(
        self, attempt_id: UUID, request: ProviderRequest, *, callback_url: str | None, account: str
    ) -> Submitted | Observation:
        """Create a task; KIE accepts no id of the caller's, and seldom answers with a result."""
        body = {"model": request.model_id, "input": dict(request.inputs)}
        if callback_url:
            body["callBackUrl"] = callback_url
        url = f"{self._api_url}/jobs/createTask"
        answer = await self._sent(
            "POST",
            url,
            account=account,
            no_answer=ProviderSilent,
            timeout=self._create_timeout,
            json=body,
        )
        data = _granted_by(answer, url=url)
        return told_at_once(data) or Submitted(_task_id_of(data))

    async def read(self, handle: str, *, account: str) -> Observation:
        """Read what KIE knows of a task; an answer about another task is UNKNOWN."""
        url = f"{self._api_url}/jobs/recordInfo"
        answer = await self._sent("GET", url, account=account, params={"taskId": handle})
        document = document_of(answer, no_answer=ProviderUnreachable)
        observation = read_record(document)
        if observation.state is ProviderState.UNKNOWN and code_of(document) != 200:
            _raise_unless_final(error_of(document, no_answer=ProviderUnreachable))
        # Such an answer must not settle the job that was asked about.
        if observation.task_id not in (None, handle):
            return Observation(ProviderState.UNKNOWN, task_id=handle, word=observation.word)
        return observation

    async def upload(self, path: Path, *, file_name: str, mime_type: str, account: str) -> str:
        """Hand over a file under a name of its own, since KIE overwrites equal names."""
        name = f"{uuid4().hex}-{re.sub(r'[^A-Za-z0-9.-]', '_', file_name)[-64:]}"
        form = Form(
            fields={"uploadPath": UPLOAD_PATH, "fileName": name},
            path=path,
            file_name=name,
            mime_type=mime_type,
        )
        answer = await self._granted(
            "POST",
            self._upload_url,
            account=account,
            timeout=_UPLOAD,
            more_seconds=await size_of(path) / _UPLOAD_BYTES_PER_SECOND,
            content=form.pieces(),
            headers=await form.headers(),
        )
        return _link(as_document(answer).get("downloadUrl"))

    async def fresh_link(self, url: str, *, account: str) -> FreshLink:
        """Return a link that works for 20 minutes; ProviderRefused if KIE made no such file."""
        try:
            data = await self._granted(
                "POST", f"{self._api_url}/common/download-url", account=account, json={"url": url}
            )
        except ProviderRefused as error:
            reason = FailureReason.RESULT_UNAVAILABLE
            raise ProviderRefused(SENTENCES[reason], code=error.code, reason=reason) from error
        return FreshLink(_link(data), is_proved=self.is_proved)

    async def balance(self, account: str) -> Decimal:
        """Return the balance of an account, in KIE's credits."""
        data = await self._granted("GET", f"{self._api_url}/chat/credit", account=account)
        try:
            return Decimal(str(data))
        except InvalidOperation as error:
            raise ProviderUnreachable("KIE's balance is not a number", code="200") from error

    async def normal_share(self, model_id: str, *, account: str) -> float | None:
        """Return the share of the last hour that KIE calls normal; None without traffic."""
        return normal_share_of(
            await self.describe(f"models/{model_id}/success-rate", account=account)
        )

    async def describe(self, path: str, *, account: str) -> Any:
        """Read what KIE says of its models, such as `models` or `models/z-image/price`."""
        return await self._granted("GET", f"{self._api_url}/{path}", account=account)

    async def _granted(self, method: str, url: str, **request: Any) -> Any:
        answer = await self._sent(method, url, **request)
        return _data_of(answer, url=url, no_answer=ProviderUnreachable)

    async def _sent(
        self,
        method: str,
        url: str,
        *,
        account: str,
        no_answer: NoAnswer = ProviderUnreachable,
        timeout: httpx2.Timeout = _READ,
        more_seconds: float = 0,
        headers: Mapping[str, str] | None = None,
        **request: Any,
    ) -> Answer:
        headers = {**(headers or {}), "Authorization": f"Bearer {self._key_of(account)}"}
        with translated(no_answer=no_answer):
            async with (
                asyncio.timeout(_deadline_s(timeout) + more_seconds),
                self._http.stream(
                    method, url, headers=headers, timeout=timeout, **request
                ) as response,
            ):
                return await read_answer(response)

    def _key_of(self, account: str) -> str:
        """Return the key of an account. Raises ProviderRefused if it is no longer configured."""
        if account in self._keys:
            return self._keys[account]
        reason = FailureReason.RESULT_UNAVAILABLE
        raise ProviderRefused(
            f"Account {account!r} is no longer configured", code="", reason=reason
        )


def _granted_by(answer: Answer, *, url: str) -> Document:
    """Return what createTask granted; of an answer that is too long, at most a task's id."""
    if len(answer.content) > MAX_SIZE and (task_id := task_id_within(answer)):
        return {"taskId": task_id}
    return as_document(_data_of(answer, url=url, no_answer=ProviderSilent))


def _task_id_of(named: Document) -> str:
    """Return the id of the task that createTask granted; ProviderSilent if it names none."""
    task_id = as_task_id(named.get("taskId")) or as_task_id(named.get("recordId"))
    if task_id is None:
        raise ProviderSilent("KIE accepted the request but named no task", code="200")
    return task_id


def _data_of(answer: Answer, *, url: str, no_answer: NoAnswer) -> Any:
    document = document_of(answer, no_answer=no_answer)
    if code_of(document) == 200 and document.get("success", True):
        return document.get("data")
    error = error_of(document, no_answer=no_answer)
    _log_refusal(error, url=url, document=document)
    raise error


def _deadline_s(timeout: httpx2.Timeout) -> float:
    # httpx2 limits each wait for bytes; an answer that drips would still have no end.
    return 2 * (timeout.read or 0)


def _raise_unless_final(error: ProviderError) -> None:
    # A refused read says nothing about the task, so it settles nothing.
    if not isinstance(error, ProviderRefused):
        raise error


def _log_refusal(error: ProviderError, *, url: str, document: Document) -> None:
    is_private = isinstance(error, ProviderRefused) and (
        error.reason is FailureReason.CONTENT_REFUSED  # its text may repeat the prompt
    )
    text = "" if is_private else message_of(document)[:200]
    log.warning(
        "KIE refused a request",
        action="kie_refused",
        call=url.rsplit("/", 1)[-1],
        code=error.code,
        text=text,
    )


def _link(value: object) -> str:
    if isinstance(value, str) and is_link(value):
        return value
    raise ProviderUnreachable("KIE answered without a link", code="200")
