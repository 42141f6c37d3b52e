from typing import Any

import pytest
from structlog.testing import capture_logs

from generation_svc.exposure import check_exposure
from generation_svc.settings import GenerationSettings
from runtime.process import StartError

PAIR = {"generation_tls_certificate_file": "cert.pem", "generation_tls_key_file": "key.pem"}
ELSEWHERE = {"generation_tls": "elsewhere"}
LOOPBACK = ("127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "localhost:1")
PUBLIC = ("0.0.0.0:1", "[::]:1", "192.0.2.1:1", "[2001:db8::1]:1", "[::ffff:192.0.2.1]:1", "0:1")


def settings(listen: str, **fields: Any) -> GenerationSettings:
    return GenerationSettings.model_validate(
        {"generation_listen": listen, "kie_api_key": "key", **fields}
    )


@pytest.mark.parametrize("listen", LOOPBACK)
def test_loopback_without_callers_is_said(listen: str) -> None:
    with capture_logs() as logs:
        check_exposure(settings(listen), has_callers=False)
    (line,) = logs
    assert line["event"] == "no callers are configured: everybody on this machine may call"


@pytest.mark.parametrize("listen", LOOPBACK)
def test_loopback_with_callers_is_no_news(listen: str) -> None:
    with capture_logs() as logs:
        check_exposure(settings(listen), has_callers=True)
    assert logs == []


@pytest.mark.parametrize("listen", PUBLIC)
@pytest.mark.parametrize("tls", [{}, PAIR, ELSEWHERE], ids=["clear", "tls", "elsewhere"])
def test_a_public_address_needs_callers(listen: str, tls: dict[str, str]) -> None:
    with pytest.raises(StartError, match="GENERATION_CALLERS_FILE"):
        check_exposure(settings(listen, **tls), has_callers=False)


@pytest.mark.parametrize("listen", PUBLIC)
def test_a_public_address_needs_tls(listen: str) -> None:
    with pytest.raises(StartError, match="GENERATION_TLS_CERTIFICATE_FILE"):
        check_exposure(settings(listen), has_callers=True)


@pytest.mark.parametrize("listen", PUBLIC)
@pytest.mark.parametrize("tls", [PAIR, ELSEWHERE], ids=["tls", "elsewhere"])
def test_with_both_it_may_be_public(listen: str, tls: dict[str, str]) -> None:
    check_exposure(settings(listen, **tls), has_callers=True)


def test_a_name_that_nobody_knows_is_said() -> None:
    with pytest.raises(StartError, match="cannot be found: set GENERATION_LISTEN"):
        check_exposure(settings("nowhere.invalid:1"), has_callers=True)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"generation_tls_key_file": "key.pem"}, "must be set together"),
        ({"generation_tls_certificate_file": "cert.pem"}, "must be set together"),
        ({"generation_tls_client_ca_file": "ca.pem"}, "TLS needs"),
        ({"generation_tls": "on"}, "TLS needs"),
        (PAIR | ELSEWHERE, "contradict"),
        ({"generation_tls": "off"}, "'on' or 'elsewhere'"),
        ({"listen": "unix:/run/atelier.sock"}, "needs a port"),
    ],
    ids=["no certificate", "no key", "only clients", "on", "both", "another word", "a socket"],
)
def test_settings_that_do_not_fit_are_refused(fields: dict[str, str], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        settings(**{"listen": "127.0.0.1:1", **fields})
