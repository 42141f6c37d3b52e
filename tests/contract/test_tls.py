"""The service's door, tried with grpcurl: TLS, client certificates and tokens, good and bad."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from atelier.generation.v1 import generation_service_pb2 as pb
from atelier.generation.v1.job_pb2 import JOB_STATE_FAILED
from generation_client import GenerationClient, GenerationError, Transport, connect, translated
from generation_svc.caller import CallerDirectory, parse_callers
from generation_svc.rpc.endpoint import Endpoint
from generation_svc.rpc.interceptor import CallInterceptor
from runtime.certificate import CertificateFiles, CertificateReader
from tests.certificate import SERVER_NAME, Authority, Pair
from tests.contract.service import Service, struct
from tests.contract.tool import GENERATION, run

TOKEN = "a-token-that-only-the-caller-and-this-test-know"
CALLERS = f"""
[[caller]]
name = "tester"
tokens_sha256 = ["{hashlib.sha256(TOKEN.encode()).hexdigest()}"]
scopes = ["own_jobs"]
"""


@dataclass
class Door:
    """Where the service listens with TLS, and who vouches for both sides."""

    address: str
    servers: Authority
    clients: Authority

    @property
    def transport(self) -> Transport:
        """What our own client is told, with the certificate that it shows."""
        shown = self.clients.pair("client")
        return Transport(
            ca_file=self.servers.file,
            certificate_file=shown.certificate,
            key_file=shown.key,
            server_name=SERVER_NAME,
        )


@asynccontextmanager
async def door(service: Service, folder: Path, *, is_mutual: bool) -> AsyncIterator[Door]:
    """Open a second door to a service: with TLS, and for callers with a token."""
    servers, clients = Authority(folder / "server"), Authority(folder / "client")
    clients.issue("client")
    pair = servers.issue_server()
    files = CertificateFiles(pair.certificate, pair.key, clients.file if is_mutual else None)
    callers = CallerDirectory(parse_callers(CALLERS))
    endpoint = Endpoint(service.deps, interceptor=CallInterceptor(callers))
    port = endpoint.bind("127.0.0.1:0", certificates=CertificateReader(files))
    await endpoint.start()
    try:
        yield Door(f"127.0.0.1:{port}", servers, clients)
    finally:
        await endpoint.stop(grace_seconds=0)


@pytest.fixture(scope="module")
async def tls(
    idle_service: Service, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Door]:
    async with door(idle_service, tmp_path_factory.mktemp("tls"), is_mutual=False) as opened:
        yield opened


@pytest.fixture(scope="module")
async def mtls(
    idle_service: Service, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Door]:
    async with door(idle_service, tmp_path_factory.mktemp("mtls"), is_mutual=True) as opened:
        yield opened


@pytest.fixture
async def own_door(idle_service: Service, tmp_path: Path) -> AsyncIterator[Door]:
    """A door with client certificates whose files a test may change."""
    async with door(idle_service, tmp_path, is_mutual=True) as opened:
        yield opened


async def grpcurl(at: Door, *flags: str, token: str = TOKEN, max_wait_s: int = 10) -> str:
    """List the models; return what grpcurl says where it fails, nothing where it does not."""
    authorization = ("-H", f"authorization: Bearer {token}") if token else ()
    patience = ("-connect-timeout", str(max_wait_s), "-max-time", "10")
    method = f"{GENERATION}/ListModels"
    code, out, err = await run("grpcurl", *patience, *flags, *authorization, at.address, method)
    assert (code == 0) is bool(out), err
    return err


def trusting(authority: Authority, name: str = SERVER_NAME) -> tuple[str, ...]:
    return ("-cacert", str(authority.file), "-servername", name)


def showing(pair: Pair) -> tuple[str, ...]:
    return ("-cert", str(pair.certificate), "-key", str(pair.key))


async def test_a_caller_gets_in_over_tls(tls: Door) -> None:
    assert not await grpcurl(tls, *trusting(tls.servers))
    assert not await grpcurl(tls, "-cacert", str(tls.servers.file))  # its address is named, too


async def test_a_caller_gets_in_over_mutual_tls(mtls: Door) -> None:
    flags = (*trusting(mtls.servers), *showing(mtls.clients.pair("client")))
    assert not await grpcurl(mtls, *flags)


@pytest.mark.parametrize("token", ["", "wrong-token", f"{TOKEN}x"], ids=["none", "wrong", "longer"])
@pytest.mark.parametrize("kind", ["tls", "mtls"])
async def test_a_certificate_is_no_token(kind: str, token: str, tls: Door, mtls: Door) -> None:
    at = {"tls": tls, "mtls": mtls}[kind]
    flags = (*trusting(at.servers), *showing(at.clients.pair("client")))
    said = await grpcurl(at, *flags, token=token)
    assert "Unauthenticated" in said
    assert TOKEN not in said


async def test_nobody_gets_in_without_tls(tls: Door) -> None:
    assert "Failed to dial" in await grpcurl(tls, "-plaintext", max_wait_s=1)


async def test_a_client_without_a_certificate_stays_outside(mtls: Door) -> None:
    assert "Failed to dial" in await grpcurl(mtls, *trusting(mtls.servers), max_wait_s=1)


async def test_a_certificate_of_another_authority_stays_outside(mtls: Door, tmp_path: Path) -> None:
    shown = showing(Authority(tmp_path).issue("client"))
    assert "Failed to dial" in await grpcurl(mtls, *trusting(mtls.servers), *shown, max_wait_s=1)


async def test_an_expired_certificate_stays_outside(mtls: Door) -> None:
    shown = showing(mtls.clients.issue("expired", is_expired=True))
    assert "Failed to dial" in await grpcurl(mtls, *trusting(mtls.servers), *shown, max_wait_s=1)


async def test_a_client_refuses_a_service_of_another_name(tls: Door) -> None:
    said = await grpcurl(tls, *trusting(tls.servers, "elsewhere.internal"))
    assert f"valid for {SERVER_NAME}, not elsewhere.internal" in said


async def test_a_client_refuses_a_service_of_another_authority(tls: Door, tmp_path: Path) -> None:
    assert "unknown authority" in await grpcurl(tls, *trusting(Authority(tmp_path)))


async def test_a_client_refuses_an_expired_service(own_door: Door) -> None:
    own_door.servers.issue_server(is_expired=True)
    flags = (*trusting(own_door.servers), *showing(own_door.clients.pair("client")))
    assert "expired" in await grpcurl(own_door, *flags)


async def test_renewed_certificates_are_shown_at_once(own_door: Door, tmp_path: Path) -> None:
    shown = showing(own_door.clients.pair("client"))
    older = str(shutil.copy(own_door.servers.file, tmp_path / "older.pem"))
    own_door.servers.renew()
    own_door.servers.issue_server()
    assert not await grpcurl(own_door, *trusting(own_door.servers), *shown)
    assert "unknown authority" in await grpcurl(own_door, "-cacert", older, *shown)


@pytest.mark.parametrize("part", ["certificate", "key"])
async def test_half_a_renewal_changes_nothing(own_door: Door, part: str) -> None:
    flags = (*trusting(own_door.servers), *showing(own_door.clients.pair("client")))
    pair = own_door.servers.pair("server")
    file = pair.certificate if part == "certificate" else pair.key
    whole, other = file.read_bytes(), own_door.clients.pair("client").key.read_bytes()
    with capture_logs() as logs:
        for broken in (whole[: len(whole) // 2], b"", other):
            file.write_bytes(broken)
            assert not await grpcurl(own_door, *flags)
    assert {line["event"] for line in logs if line["log_level"] == "error"} == {
        "the new certificates cannot be used; the old ones stay in use"
    }


@asynccontextmanager
async def client_of(at: Door, **changes: Any) -> AsyncIterator[GenerationClient]:
    """Our own client, with every token and file that it needs."""
    transport = replace(at.transport, **changes)
    async with connect(at.address, token=SecretStr(TOKEN), transport=transport) as client:
        yield client


async def models_by(client: GenerationClient) -> int:
    with translated():
        return len((await client.generation.ListModels(pb.ListModelsRequest())).models)


async def test_our_own_client_gets_in(mtls: Door) -> None:
    async with client_of(mtls) as client:
        assert await models_by(client)
    replicas = replace(mtls, address=f"127.0.0.1:1,{mtls.address}")
    async with client_of(replicas) as client:
        assert await models_by(client)


async def test_our_own_client_refuses_another_name(mtls: Door) -> None:
    async with client_of(mtls, server_name="elsewhere.internal") as client:
        with pytest.raises(GenerationError, match="Hostname Verification Check failed"):
            await models_by(client)


async def test_our_own_client_shows_its_renewed_certificate(
    service: Service, tmp_path: Path
) -> None:
    """And what it follows on its older connection goes on."""
    async with door(service, tmp_path, is_mutual=True) as at, client_of(at) as client:
        inputs = struct({"prompt": "a lighthouse in a storm"})
        asked = pb.CreateJobRequest(model_id="z-image", inputs=inputs)
        job_id = (await client.generation.CreateJob(asked)).job.id
        request = pb.StreamJobUpdatesRequest(job_id=job_id)
        updates = aiter(client.generation.StreamJobUpdates(request))
        await anext(updates)
        at.clients.renew()
        at.clients.issue("client")
        with capture_logs() as logs:
            assert await models_by(client)
        renewed = [line for line in logs if line["event"] == "the certificates were renewed"]
        assert len(renewed) == 2, "both sides read anew: it was another connection"
        await service.fail(job_id)
        assert [update.job.state async for update in updates] == [JOB_STATE_FAILED]


async def test_our_own_client_keeps_its_certificate_until_the_new_one_is_whole(
    own_door: Door,
) -> None:
    async with client_of(own_door) as client:
        own_door.clients.pair("client").key.write_bytes(b"-----BEGIN")
        assert await models_by(client)
