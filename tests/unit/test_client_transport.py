from pathlib import Path

import pytest

from generation_client.settings import ClientSettings
from generation_client.transport import Transport, is_local

CA = Path("ca.pem")
LOCAL = (
    "127.0.0.1:1",
    "127.0.0.2:1,127.0.0.3:1",
    "[::1]:1",
    "localhost:1",
    "unix:/run/atelier.sock",
    "unix-abstract:atelier",
)
REMOTE = (
    "generation.internal:1",
    "127.0.0.1.example.org:1",
    "localhost.example.org:1",
    "dns:///localhost:1",
    "0.0.0.0:1",
    "10.0.0.1:1,127.0.0.1:1",
    "127.0.0.1:1,10.0.0.1:1",
    "[2001:db8::1]:1",
)


@pytest.mark.parametrize("address", LOCAL)
def test_a_token_may_go_to_this_machine_in_the_clear(address: str) -> None:
    assert is_local(address)
    Transport().check(address, has_token=True)


@pytest.mark.parametrize("address", REMOTE)
def test_a_token_does_not_leave_this_machine_in_the_clear(address: str) -> None:
    Transport().check(address, has_token=False)
    with pytest.raises(ValueError, match="GENERATION_TOKEN would travel in the clear"):
        Transport().check(address, has_token=True)


@pytest.mark.parametrize(
    "transport",
    [
        Transport(tls="on", server_name="generation.internal"),
        Transport(ca_file=CA, server_name="generation.internal"),
        Transport(certificate_file=CA, key_file=CA, server_name="generation.internal"),
        Transport(tls="elsewhere"),
    ],
    ids=["on", "authority", "certificate", "elsewhere"],
)
@pytest.mark.parametrize("address", REMOTE)
def test_a_token_travels_where_somebody_encrypts(address: str, transport: Transport) -> None:
    transport.check(address, has_token=True)


@pytest.mark.parametrize(
    ("transport", "address", "problem"),
    [
        (Transport(certificate_file=CA), "localhost:1", "must be set together"),
        (Transport(key_file=CA), "localhost:1", "must be set together"),
        (Transport(tls="elsewhere", ca_file=CA), "localhost:1", "contradict"),
        (Transport(ca_file=CA), "10.0.0.1:1,10.0.0.2:1", "needs GENERATION_TLS_SERVER_NAME"),
    ],
    ids=["no key", "no certificate", "both", "several"],
)
def test_what_does_not_fit_is_refused(transport: Transport, address: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        transport.check(address, has_token=False)


def test_a_path_is_not_read_as_a_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GENERATION_TLS_CA_FILE", str(tmp_path / "ca.pem"))
    monkeypatch.setenv("GENERATION_ADDRESS", "10.0.0.1:1")
    monkeypatch.setenv("GENERATION_TOKEN", "token")
    assert ClientSettings.load().transport.ca_file == tmp_path / "ca.pem"
    monkeypatch.delenv("GENERATION_TLS_CA_FILE")
    with pytest.raises(SystemExit):
        ClientSettings.load()
    assert "GENERATION_TOKEN would travel in the clear" in capsys.readouterr().err
