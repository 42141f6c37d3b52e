"""Says what a job cost and what of its price came back; of a free job it says nothing."""

from __future__ import annotations

from atelier.generation.v1.job_pb2 import JOB_STATE_FAILED, Job, Price
from edge_bot.view.credit_text import balance_text
from edge_bot.view.language import Texts


def credits_of(price: Price) -> int:
    """Return a price in whole credits; 0 if there is none."""
    return 0 if price.is_free else int(price.credits or 0)


def charge_text(job: Job, speak: Texts, *, balance: int | None = None) -> str:
    """Return what a job that is over cost, what came back, and what is left if that is known."""
    price, charged = credits_of(job.price), _charged(job)
    if not price or charged is None:
        return ""
    left = "" if balance is None else balance_text(balance, speak)
    parts = (_cost(charged, speak), _back(price - charged, speak), left)
    return " ".join(filter(None, parts))


def cancelled_charge_text(job: Job, speak: Texts) -> str:
    """Return what a cancelled job costs; while the model works on it that is still open."""
    if credits_of(job.price) and _charged(job) is None:
        return open_charge_text(job, speak)
    return charge_text(job, speak)


def open_charge_text(job: Job, speak: Texts) -> str:
    """Return what cancelling a job costs while the model works on it."""
    if not credits_of(job.price):
        return ""
    return speak.html(
        "If the model finishes it all the same, it is charged; otherwise its credits come back."
    )


def _charged(job: Job) -> int | None:
    """Return what was charged; None while it is open. A failure is never charged."""
    if job.state == JOB_STATE_FAILED:
        return 0
    return job.charged_credits if job.HasField("charged_credits") else None


def _cost(charged: int, speak: Texts) -> str:
    if not charged:
        return speak.html("Nothing was charged.")
    return speak.count("Cost: {n} credit.", "Cost: {n} credits.", charged)


def _back(amount: int, speak: Texts) -> str:
    if amount <= 0:
        return ""
    return speak.count("{n} credit came back.", "{n} credits came back.", amount)
