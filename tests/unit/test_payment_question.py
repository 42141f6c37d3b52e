"""A text is taken as a question about a payment only where it can hardly be anything to draw."""

import pytest

from edge_bot.view.payment_notice import asks_for_payment

QUESTIONS = (
    "where are my credits?",
    "Hello, where is my payment?",
    "I paid",
    "i've paid, where are my credits?",
    "I paid but nothing came",
    "my payment has not arrived",
    "где мои кредиты",
    "Здравствуйте! Где мои кредиты?",
    "я оплатил",
    "Я оплатила, а кредиты не пришли",
    "платёж не зачислен",
)
PROMPTS = (
    "I paid the ferryman and sailed on",
    "I paid, a painting in oil",
    "a man who has just paid for credits",
    "where are my keys",
    "a credit card on a marble table",
    "payment terminal in the desert",
    "a poster that says: where are my credits?",
    "нарисуй чек об оплате",
    "оплатил и ушёл в закат",
    "я заплатил судьбе",
    "плакат: где мои кредиты",
    "где мои кредиты, спросил кот, и тогда " + "он пошёл по крышам к луне " * 3,
)


@pytest.mark.parametrize("text", QUESTIONS)
def test_a_question(text: str) -> None:
    assert asks_for_payment(text)


@pytest.mark.parametrize("text", PROMPTS)
def test_a_prompt(text: str) -> None:
    assert not asks_for_payment(text)
