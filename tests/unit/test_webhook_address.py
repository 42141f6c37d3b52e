import pytest

from generation_svc.webhook.address import problem_of
from runtime.host import HostList


@pytest.mark.parametrize(
    "url",
    [
        "https://shop.example/hook",
        "https://shop.example:8443/hook?key=1",
        "https://xn--e1afmkfd.example/",
        "https://пример.example/",
        "https://104.16.0.1/",
        "https://[2606:4700::1111]/",
        "http://inside:8080/hook",
        "https://inside:8080/hook",
        "http://10.0.0.5:80/",
    ],
)
def test_address_that_is_taken(url: str) -> None:
    assert problem_of(url, allowed=HostList(["inside:8080", "10.0.0.5:80"])) == ""


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("http://shop.example/", "https://"),
        ("ftp://shop.example/", "https://"),
        ("shop.example/hook", "https://"),
        ("", "https://"),
        ("https://", "https://"),
        ("https:///hook", "https://"),
        ("https://user@shop.example/", "no user name"),
        ("https://user:secret@shop.example/", "no user name"),
        ("http://user:secret@inside:8080/", "no user name"),
        ("https://shop.example/#part", "no fragment"),
        ("https://shop.example/hook#", "no fragment"),
        ("https://127.0.0.1/", "on the internet"),
        ("https://10.0.0.5/", "on the internet"),
        ("https://[::1]/", "on the internet"),
        ("https://[::ffff:10.0.0.5]/", "on the internet"),
        ("https://[64:ff9b::a00:5]/", "on the internet"),
        ("https://169.254.169.254/latest/meta-data", "on the internet"),
        ("https://localhost/", "on the internet"),
        ("https://inside/", "on the internet"),
        ("http://inside:8081/", "https://"),
        ("https://shop.example:port/", "such as"),
        ("https://shop.example/\n", "such as"),
        ("https://[shop.example/", "on the internet"),
        ("https://" + "a" * 64 + "é.example/", "such as"),
    ],
)
def test_address_that_is_refused_with_what_would_be_right(url: str, wanted: str) -> None:
    assert wanted in problem_of(url, allowed=HostList(["inside:8080"]))
