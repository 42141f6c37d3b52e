"""The accounts at KIE, as the operator writes them."""

import pytest
from pydantic import ValidationError

from generation_svc.provider.kie.account import parse_accounts
from generation_svc.settings import GenerationSettings

KEYS = {"default": "key-of-one", "second-2": "key:of:two"}


def settings(**given: str) -> GenerationSettings:
    return GenerationSettings.model_validate(given)


@pytest.mark.parametrize(
    "text",
    [
        "default:key-of-one,second-2:key:of:two",
        " default:key-of-one , second-2:key:of:two, ",
        "default:key-of-one\nsecond-2:key:of:two\n",
        "default:key-of-one\r\n\r\n\tsecond-2:key:of:two",
    ],
    ids=["commas", "blanks", "lines", "a file of another system"],
)
def test_accounts_are_read_in_their_order(text: str) -> None:
    assert list(parse_accounts(text).items()) == list(KEYS.items())
    assert settings(kie_api_keys=text).kie_accounts == KEYS


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("the-secret-key", "entry 1 is not name:key"),
        ("a:the-secret-key,:other", "entry 2 is not name:key"),
        ("a:", "entry 1 is not name:key"),
        ("A:the-secret-key", "entry 1 is not name:key"),
        ("a_b:the-secret-key", "entry 1 is not name:key"),
        (f"{'a' * 33}:the-secret-key", "entry 1 is not name:key"),
        ("a:ключ", "the key of 'a' must be printable ASCII"),
        ("a:the-secret-key,a:other", "the name 'a' is used twice"),
        ("a:the-secret-key,b:the-secret-key", "the key of 'b' is that of another account, too"),
        (",", "it names no account"),
    ],
)
def test_what_is_wrong_with_accounts_is_said_without_their_keys(text: str, problem: str) -> None:
    with pytest.raises(ValidationError) as raised:
        settings(kie_api_keys=text)
    (error,) = raised.value.errors()
    assert problem in error["msg"]
    assert "secret" not in error["msg"]


def test_one_key_is_the_account_default() -> None:
    assert settings(kie_api_key="a-key").kie_accounts == {"default": "a-key"}


def test_accounts_are_said_once() -> None:
    with pytest.raises(ValidationError, match="KIE_API_KEY and KIE_API_KEYS are both set"):
        settings(kie_api_key="a-key", kie_api_keys="default:a-key")
    with pytest.raises(ValidationError, match="KIE_API_KEY is missing"):
        settings()


def test_keys_are_not_shown() -> None:
    shown = repr(settings(kie_api_keys="a:the-secret-key", kie_webhook_hmac_keys="hidden,too"))
    assert "the-secret-key" not in shown
    assert "hidden" not in shown


def test_every_key_that_signs_is_known() -> None:
    several = settings(
        kie_api_key="a-key", kie_webhook_hmac_key="one,comma", kie_webhook_hmac_keys="two, three"
    )
    assert several.kie_hmac_keys == ("one,comma", "two", "three")
    assert settings(kie_api_key="a-key").kie_hmac_keys == ()
    with pytest.raises(ValidationError, match="a key between two commas is empty"):
        settings(kie_api_key="a-key", kie_webhook_hmac_keys="two,,three")
