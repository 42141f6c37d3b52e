"""All clients check servers against authorities that are read once, each as it always did."""

from pathlib import Path

import pytest
import trustme

from generation_svc.egress.tls import client_tls, without_environment


@pytest.fixture(autouse=True)
def nothing_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)


def test_where_the_environment_names_none_all_clients_share_them() -> None:
    tls = client_tls()
    assert without_environment(tls) is tls


def test_an_authority_of_the_environment_is_no_one_s_who_heeds_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = {each["serialNumber"] for each in client_tls().get_ca_certs()}
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))

    tls = client_tls()
    (ours,) = tls.get_ca_certs()
    assert ours["serialNumber"] not in usual
    assert {each["serialNumber"] for each in without_environment(tls).get_ca_certs()} == usual
