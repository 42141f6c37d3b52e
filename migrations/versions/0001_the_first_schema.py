"""The first schema"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "breaker",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("probe_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("update_time", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("name = 'provider'", name="breaker_is_single"),
        sa.CheckConstraint(
            "(reason IS NULL) = (probe_time IS NULL)", name="breaker_probes_iff_open"
        ),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "budget_slot",
        sa.Column("budget", sa.String(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("take_time", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("budget", "position"),
    )
    op.create_table(
        "job",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("caller", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("model_id", sa.String(), nullable=False),
        sa.Column("inputs", postgresql.JSONB(none_as_null=True), nullable=False),
        sa.Column("is_free", sa.Boolean(), nullable=False),
        sa.Column("credits", sa.Numeric(precision=14, scale=4), nullable=False),
        sa.Column("correlation_id", sa.String(), nullable=False),
        sa.Column("destination", postgresql.JSONB(none_as_null=True), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("start_deadline_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finish_deadline_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("delay_reason", sa.String(), nullable=True),
        sa.Column("result", postgresql.JSONB(none_as_null=True), nullable=True),
        sa.Column("failure", postgresql.JSONB(none_as_null=True), nullable=True),
        sa.Column("dispatch_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("claim_token", sa.Uuid(), nullable=True),
        sa.CheckConstraint(
            "(dispatch_time IS NOT NULL) = (state = 'queued')", name="job_due_iff_queued"
        ),
        sa.CheckConstraint(
            "(state = 'failed') = (failure IS NOT NULL)", name="job_failure_iff_failed"
        ),
        sa.CheckConstraint(
            "(state = 'succeeded') = (result IS NOT NULL)", name="job_result_iff_succeeded"
        ),
        sa.CheckConstraint(
            "delay_reason IS NULL OR delay_reason IN ('provider_unreachable', 'provider_maintenance', 'provider_account', 'provider_busy', 'provider_unconfirmed')",
            name="job_delay_reason_is_known",
        ),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')",
            name="job_state_is_known",
        ),
        sa.CheckConstraint("NOT is_free OR credits = 0", name="job_free_costs_nothing"),
        sa.CheckConstraint("credits >= 0", name="job_credits_not_negative"),
        sa.CheckConstraint("revision >= 1", name="job_revision_is_positive"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "job_active_owner",
        "job",
        ["caller", "owner"],
        unique=False,
        postgresql_where=sa.text("state IN ('queued', 'running')"),
    )
    op.create_index(
        "job_due",
        "job",
        ["dispatch_time"],
        unique=False,
        postgresql_where=sa.text("state = 'queued'"),
    )
    op.create_index("job_of_caller", "job", ["caller", "id"], unique=False)
    op.create_index("job_of_model", "job", ["model_id", "id"], unique=False)
    op.create_index("job_of_owner", "job", ["caller", "owner", "id"], unique=False)
    op.create_table(
        "request_key",
        sa.Column("caller", sa.String(), nullable=False),
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("content_hash", sa.LargeBinary(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("caller", "request_id"),
    )
    op.create_index(
        op.f("ix_request_key_create_time"), "request_key", ["create_time"], unique=False
    )
    op.create_table(
        "session",
        sa.Column("caller", sa.String(), nullable=False),
        sa.Column("bot_id", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("caller", "bot_id", "key"),
    )
    op.create_table(
        "update_lease",
        sa.Column("bot_id", sa.BigInteger(), nullable=False),
        sa.Column("caller", sa.String(), nullable=False),
        sa.Column("holder", sa.String(), nullable=False),
        sa.Column("expire_time", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("bot_id"),
    )
    op.create_table(
        "upload",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("caller", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("mime_type", sa.String(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expire_time", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_upload_expire_time"), "upload", ["expire_time"], unique=False)
    op.create_table(
        "attempt",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.SmallInteger(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("task_id", sa.String(), nullable=True),
        sa.Column("submit_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("accept_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("end_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("observation", postgresql.JSONB(none_as_null=True), nullable=True),
        sa.Column("read_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("read_tries", sa.Integer(), nullable=False),
        sa.Column("hint_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("fetch_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("fetch_tries", sa.Integer(), nullable=False),
        sa.Column("error", sa.String(), nullable=False),
        sa.Column("ended_by", sa.String(), nullable=True),
        sa.CheckConstraint(
            "(fetch_time IS NOT NULL) = (state = 'succeeded')", name="attempt_fetch_iff_succeeded"
        ),
        sa.CheckConstraint(
            "read_time IS NULL OR state = 'accepted'", name="attempt_read_iff_accepted"
        ),
        sa.CheckConstraint(
            "state <> 'accepted' OR task_id IS NOT NULL", name="attempt_accepted_has_task"
        ),
        sa.CheckConstraint(
            "state IN ('submitting', 'unknown', 'accepted', 'succeeded', 'settled', 'failed', 'refused', 'lost')",
            name="attempt_state_is_known",
        ),
        sa.ForeignKeyConstraint(
            ["job_id"],
            ["job.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("job_id", "number", name="attempt_number"),
        sa.UniqueConstraint("token_hash"),
    )
    op.create_index(
        "attempt_fetch_due",
        "attempt",
        ["fetch_time"],
        unique=False,
        postgresql_where=sa.text("state = 'succeeded'"),
    )
    op.create_index(
        "attempt_live",
        "attempt",
        ["job_id"],
        unique=False,
        postgresql_where=sa.text("state IN ('accepted', 'submitting', 'succeeded', 'unknown')"),
    )
    op.create_index("attempt_of_task", "attempt", ["task_id"], unique=False)
    op.create_index(
        "attempt_read_due",
        "attempt",
        ["read_time"],
        unique=False,
        postgresql_where=sa.text("state = 'accepted'"),
    )
    op.create_table(
        "delivery",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("caller", sa.String(), nullable=False),
        sa.Column("bot_id", sa.BigInteger(), nullable=True),
        sa.Column("queue", sa.String(), nullable=True),
        sa.Column("due_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lease_hash", sa.LargeBinary(), nullable=True),
        sa.Column("reported_hash", sa.LargeBinary(), nullable=True),
        sa.Column("try_number", sa.Integer(), nullable=False),
        sa.Column("maybe_sent", sa.Boolean(), nullable=False),
        sa.Column("is_stale", sa.Boolean(), nullable=False),
        sa.Column("message_id", sa.BigInteger(), nullable=True),
        sa.Column("report", postgresql.JSONB(none_as_null=True), nullable=True),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(lease_hash IS NOT NULL) = (state IN ('leased', 'begun'))",
            name="delivery_lease_iff_leased",
        ),
        sa.CheckConstraint("kind IN ('progress', 'outcome')", name="delivery_kind_is_known"),
        sa.CheckConstraint(
            "state IN ('idle', 'pending', 'leased', 'begun', 'sent', 'impossible')",
            name="delivery_state_is_known",
        ),
        sa.CheckConstraint(
            "(bot_id IS NULL) <> (queue IS NULL)", name="delivery_has_one_destination"
        ),
        sa.ForeignKeyConstraint(
            ["job_id"],
            ["job.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("job_id", "kind", name="delivery_once_per_kind"),
        sa.UniqueConstraint("lease_hash"),
        sa.UniqueConstraint("reported_hash"),
    )
    op.create_index(
        "delivery_due_bot",
        "delivery",
        ["bot_id", "due_time"],
        unique=False,
        postgresql_where=sa.text("state IN ('pending', 'leased', 'begun')"),
    )
    op.create_index(
        "delivery_due_queue",
        "delivery",
        ["caller", "queue", "due_time"],
        unique=False,
        postgresql_where=sa.text("state IN ('pending', 'leased', 'begun')"),
    )
    op.create_table(
        "job_event",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=True),
        sa.Column("snapshot", postgresql.JSONB(none_as_null=True), nullable=True),
        sa.Column("detail", postgresql.JSONB(none_as_null=True), nullable=False),
        sa.CheckConstraint(
            "(revision IS NULL) = (snapshot IS NULL)", name="job_event_snapshot_iff_revision"
        ),
        sa.ForeignKeyConstraint(
            ["job_id"],
            ["job.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("job_event_of_job", "job_event", ["job_id", "id"], unique=False)
    op.create_index(
        "job_event_revision",
        "job_event",
        ["job_id", "revision"],
        unique=True,
        postgresql_where=sa.text("revision IS NOT NULL"),
    )
    op.create_table(
        "callback_receipt",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("attempt_id", sa.Uuid(), nullable=True),
        sa.Column("task_id", sa.String(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("headers", postgresql.JSONB(none_as_null=True), nullable=False),
        sa.Column("is_trusted", sa.Boolean(), nullable=False),
        sa.Column("receive_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("apply_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(
            ["attempt_id"],
            ["attempt.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("callback_of_attempt", "callback_receipt", ["attempt_id"], unique=False)
    op.create_index(
        "callback_pending",
        "callback_receipt",
        ["receive_time"],
        unique=False,
        postgresql_where=sa.text("apply_time IS NULL"),
    )
    op.create_index(
        "callback_untrusted",
        "callback_receipt",
        ["receive_time"],
        unique=False,
        postgresql_where=sa.text("NOT is_trusted"),
    )
    op.create_table(
        "media",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("attempt_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.SmallInteger(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("mime_type", sa.String(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["attempt_id"],
            ["attempt.id"],
        ),
        sa.ForeignKeyConstraint(
            ["job_id"],
            ["job.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("attempt_id", "position", name="media_position"),
    )
    op.create_index("media_of_job", "media", ["job_id"], unique=False)
