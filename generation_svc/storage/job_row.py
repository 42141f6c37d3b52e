"""Reads jobs from their rows, and writes what each revision may change."""

from decimal import Decimal

from psycopg.types.json import Jsonb

from generation_svc.domain.job import Job, JobState, Price
from generation_svc.storage import document
from generation_svc.storage.connection import Row
from generation_svc.storage.delay import delay_from_columns, delay_to_columns
from generation_svc.storage.kept_result import kept_of


def job_from_row(row: Row) -> Job:
    """Read a job from its row, and what is kept of it where the statement gives that."""
    kept_result, kept_time = kept_of(row.get("kept"))
    return Job(
        id=row["id"],
        caller=row["caller"],
        owner=row["owner"],
        model_id=row["model_id"],
        inputs=row["inputs"],
        price=_price_from_row(row),
        correlation_id=row["correlation_id"],
        create_time=row["create_time"],
        start_deadline_time=row["start_deadline_time"],
        state=JobState(row["state"]),
        revision=row["revision"],
        update_time=row["update_time"],
        finish_deadline_time=row["finish_deadline_time"],
        delay_reason=(delay_reason := delay_from_columns(row)),
        delay_until_time=row["delay_until_time"] if delay_reason else None,
        result=document.result_from_document(row["result"]),
        failure=document.failure_from_document(row["failure"]),
        account=row["account"],
        fair_round=row["turn"],
        model_digest=row["model_digest"],
        needs_catalog=row["needs_catalog"],
        charged_credits=row["charged_credits"],
        kept_result=kept_result,
        kept_time=kept_time,
    )


def _price_from_row(row: Row) -> Price:
    return Price(
        is_free=row["is_free"],
        credits=_plain(row["credits"]),
        is_ceiling=row["is_ceiling"],
        cost=row["quoted_cost"],
    )


def _plain(credits_: Decimal) -> str:
    return f"{credits_.normalize():f}"


def mutable_columns(job: Job) -> Row:
    """Return what each revision of a job may change."""
    result = document.result_to_document(job.result)
    failure = document.failure_to_document(job.failure)
    return {
        "state": job.state,
        "revision": job.revision,
        "update_time": job.update_time,
        "finish_deadline_time": job.finish_deadline_time,
        **delay_to_columns(job.delay_reason),
        "delay_until_time": job.delay_until_time,
        "charged_credits": job.charged_credits,
        "result": Jsonb(result) if result is not None else None,
        "failure": Jsonb(failure) if failure is not None else None,
    }
