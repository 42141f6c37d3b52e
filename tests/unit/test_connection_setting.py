"""The settings that limit connections reach the server."""

from __future__ import annotations

import resource

import pytest

from generation_svc.server.wiring import budget_of, connection_limits_of, interceptor_of
from generation_svc.settings import GenerationSettings


def settings(**options: object) -> GenerationSettings:
    return GenerationSettings.model_validate({"kie_api_key": "key", **options})


def test_connections_are_as_many_as_the_settings_allow() -> None:
    limits = connection_limits_of(settings(max_connections=20, connection_max_streams=7))
    assert dict(limits.options)["grpc.max_allowed_incoming_connections"] == 20
    assert dict(limits.options)["grpc.max_concurrent_streams"] == 7


@pytest.mark.parametrize(
    ("open_files", "connections"),
    [(1024, 744), (100, 25), (resource.RLIM_INFINITY, 1_000_000)],
    ids=["usual", "few", "any"],
)
def test_connections_leave_room_for_the_database_and_the_provider(
    open_files: int, connections: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (open_files, open_files))
    limits = connection_limits_of(settings(max_connections=1_000_000, database_pool_size=30))
    assert limits.connections == connections


def test_unread_answers_are_limited_as_the_settings_say() -> None:
    limits = interceptor_of(settings(max_unread_mb=3, caller_max_unread_mb=2), None).unread.limits
    assert (limits.overall_bytes, limits.caller_bytes) == (3 << 20, 2 << 20)


def test_uploads_are_limited_as_the_settings_say() -> None:
    budget = budget_of(settings(upload_budget_mb=30, caller_upload_budget_mb=20))
    assert (budget.overall, budget.per_caller) == (30 << 20, 20 << 20)
