"""The ledger: transfers, wallets, holds, and what comes in and goes out for credits.

It only expands, and a replica of an earlier release touches none of these tables. But such a one
could end a job and leave open what is held for it. So a trigger refuses the end of a job with an
open hold: to whoever knows no holds that is a lock that it did not get, it tries again, and a
replica of this release is there to end it.
"""

from alembic import op

revision = "0018"
down_revision = "0016"


def upgrade() -> None:
    for statement in _TABLES:
        op.execute(statement)
    op.execute(_KEEP)
    for table in ("transfer", "margin_rule"):
        op.execute(
            f"CREATE OR REPLACE TRIGGER {table}_is_kept BEFORE UPDATE OR DELETE ON {table}"
            " FOR EACH ROW EXECUTE FUNCTION refuse_to_change_what_was_written()"
        )
    with op.get_context().autocommit_block():  # by itself, as in revision 0008
        op.execute("ALTER TABLE job ADD COLUMN IF NOT EXISTS charged_credits bigint")
        op.execute(_REFUSE)
        op.execute(_TRIGGER)


_KEEP = """
CREATE OR REPLACE FUNCTION refuse_to_change_what_was_written() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are never changed', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$
"""
_REFUSE = """
CREATE OR REPLACE FUNCTION refuse_end_with_open_hold() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM hold WHERE job_id = NEW.id AND state = 'open') THEN
        RAISE EXCEPTION 'job % ends with an open hold', NEW.id USING ERRCODE = 'lock_not_available';
    END IF;
    RETURN NEW;
END $$
"""
_TRIGGER = """
CREATE OR REPLACE TRIGGER job_ends_with_its_hold BEFORE UPDATE OF state ON job
FOR EACH ROW WHEN (NEW.state IN ('succeeded', 'failed') AND NEW.state IS DISTINCT FROM OLD.state
    AND NEW.credits > 0)
EXECUTE FUNCTION refuse_end_with_open_hold()
"""
_TABLES = (
    """
    CREATE TABLE IF NOT EXISTS transfer (
        id bigint GENERATED ALWAYS AS IDENTITY,
        time timestamptz NOT NULL,
        currency varchar NOT NULL,
        amount bigint NOT NULL,
        source varchar NOT NULL,
        target varchar NOT NULL,
        owner varchar,
        balance_after bigint,
        kind varchar NOT NULL,
        cause varchar NOT NULL,
        actor varchar NOT NULL,
        reason varchar NOT NULL,
        detail jsonb DEFAULT '{}' NOT NULL,
        PRIMARY KEY (id),
        CONSTRAINT transfer_moves_something CHECK (amount > 0),
        CONSTRAINT transfer_goes_elsewhere CHECK (source <> target),
        CONSTRAINT transfer_currency_is_known CHECK (currency IN ('credit', 'kie_milli', 'xtr',
            'xtr_nano')),
        CONSTRAINT transfer_source_is_known CHECK (source IN ('granted', 'paid', 'held', 'debt',
            'income', 'grants', 'refunds', 'late_results', 'exchange', 'opening',
            'provider_cost', 'provider', 'telegram', 'suspense', 'bot_owner')),
        CONSTRAINT transfer_target_is_known CHECK (target IN ('granted', 'paid', 'held', 'debt',
            'income', 'grants', 'refunds', 'late_results', 'exchange', 'opening',
            'provider_cost', 'provider', 'telegram', 'suspense', 'bot_owner')),
        CONSTRAINT transfer_kind_is_known CHECK (kind IN ('hold', 'capture', 'release', 'grant',
            'top_up', 'refund', 'chargeback', 'import', 'import_undo', 'debt_payment',
            'provider_cost', 'stars_in', 'stars_out', 'correction')),
        CONSTRAINT transfer_owner_iff_owned CHECK ((owner IS NOT NULL) = (source IN ('debt',
            'granted', 'held', 'paid') OR target IN ('debt', 'granted', 'held', 'paid'))),
        CONSTRAINT transfer_balance_iff_owner CHECK ((owner IS NULL) = (balance_after IS NULL)),
        CONSTRAINT transfer_owner_has_credits CHECK (owner IS NULL OR currency = 'credit'),
        CONSTRAINT transfer_once UNIQUE (cause, kind, source, target)
    )
    """,
    """
    CREATE INDEX IF NOT EXISTS transfer_by_time ON transfer (time)
    """,
    """
    CREATE INDEX IF NOT EXISTS transfer_of_owner ON transfer (owner, id) WHERE owner IS NOT NULL
    """,
    """
    CREATE TABLE IF NOT EXISTS wallet (
        owner varchar NOT NULL,
        granted bigint DEFAULT '0' NOT NULL,
        paid bigint DEFAULT '0' NOT NULL,
        held bigint DEFAULT '0' NOT NULL,
        debt bigint DEFAULT '0' NOT NULL,
        is_blocked boolean DEFAULT 'false' NOT NULL,
        block_reason varchar DEFAULT '' NOT NULL,
        update_time timestamptz NOT NULL,
        PRIMARY KEY (owner),
        CONSTRAINT wallet_is_not_negative CHECK (granted >= 0 AND paid >= 0 AND held >= 0 AND
            debt >= 0)
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS hold (
        job_id uuid NOT NULL,
        owner varchar NOT NULL,
        model_id varchar NOT NULL,
        granted bigint NOT NULL,
        paid bigint NOT NULL,
        margin numeric(8, 4) NOT NULL,
        promised integer DEFAULT '1' NOT NULL,
        state varchar DEFAULT 'open' NOT NULL,
        captured bigint DEFAULT '0' NOT NULL,
        create_time timestamptz NOT NULL,
        end_time timestamptz,
        PRIMARY KEY (job_id),
        CONSTRAINT hold_state_is_known CHECK (state IN ('open', 'captured', 'released')),
        CONSTRAINT hold_is_not_negative CHECK (granted >= 0 AND paid >= 0),
        CONSTRAINT hold_captures_at_most_all CHECK (captured BETWEEN 0 AND granted + paid),
        CONSTRAINT hold_captured_iff_captured CHECK (captured = 0 OR state = 'captured'),
        CONSTRAINT hold_ended_iff_not_open CHECK ((end_time IS NULL) = (state = 'open')),
        CONSTRAINT hold_promises_something CHECK (promised >= 1)
    )
    """,
    """
    CREATE INDEX IF NOT EXISTS hold_ended ON hold (end_time) WHERE state <> 'open'
    """,
    """
    CREATE INDEX IF NOT EXISTS hold_open ON hold (create_time) WHERE state = 'open'
    """,
    """
    CREATE INDEX IF NOT EXISTS hold_open_of_owner ON hold (owner) WHERE state = 'open'
    """,
    """
    CREATE TABLE IF NOT EXISTS margin_rule (
        id bigint GENERATED ALWAYS AS IDENTITY,
        scope varchar NOT NULL,
        scope_id varchar NOT NULL,
        margin numeric(8, 4),
        time timestamptz NOT NULL,
        actor varchar NOT NULL,
        reason varchar NOT NULL,
        PRIMARY KEY (id),
        CONSTRAINT margin_rule_scope_is_known CHECK (scope IN ('default', 'purpose', 'model')),
        CONSTRAINT margin_rule_names_its_scope CHECK ((scope = 'default') = (scope_id = '')),
        CONSTRAINT margin_rule_is_positive CHECK (margin > 0)
    )
    """,
    """
    CREATE INDEX IF NOT EXISTS margin_rule_latest ON margin_rule (scope, scope_id, id)
    """,
    """
    CREATE TABLE IF NOT EXISTS money_state (
        name varchar NOT NULL,
        mode varchar NOT NULL,
        epoch uuid NOT NULL,
        sales_closed_reason varchar,
        receipt_series integer DEFAULT '1' NOT NULL,
        create_time timestamptz NOT NULL,
        update_time timestamptz NOT NULL,
        PRIMARY KEY (name),
        CONSTRAINT money_state_is_single CHECK (name = 'money'),
        CONSTRAINT money_state_mode_is_known CHECK (mode IN ('test', 'live'))
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS money_cursor (
        name varchar NOT NULL,
        position bigint NOT NULL,
        time timestamptz NOT NULL,
        PRIMARY KEY (name)
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS top_up (
        id uuid NOT NULL,
        provider varchar NOT NULL,
        external_id varchar NOT NULL,
        owner varchar NOT NULL,
        pack_id varchar NOT NULL,
        credits bigint NOT NULL,
        amount bigint NOT NULL,
        currency varchar NOT NULL,
        state varchar NOT NULL,
        bot_id bigint,
        caller varchar NOT NULL,
        create_time timestamptz NOT NULL,
        refund_time timestamptz,
        refund_actor varchar,
        refund_reason varchar,
        is_forced boolean DEFAULT 'false' NOT NULL,
        user_id bigint,
        lease_token uuid,
        lease_time timestamptz,
        refund_error varchar,
        PRIMARY KEY (id),
        CONSTRAINT top_up_state_is_known CHECK (state IN ('credited', 'refunding', 'refunded',
            'charged_back')),
        CONSTRAINT top_up_is_positive CHECK (credits > 0 AND amount >= 0),
        CONSTRAINT top_up_once UNIQUE (provider, external_id)
    )
    """,
    """
    CREATE INDEX IF NOT EXISTS top_up_by_time ON top_up (create_time)
    """,
    """
    CREATE INDEX IF NOT EXISTS top_up_of_owner ON top_up (owner, create_time, id)
    """,
    """
    CREATE INDEX IF NOT EXISTS top_up_refund_due ON top_up (bot_id, id) WHERE state = 'refunding'
    """,
    """
    CREATE TABLE IF NOT EXISTS receipt (
        series integer NOT NULL,
        number bigint NOT NULL,
        kind varchar NOT NULL,
        cause uuid NOT NULL,
        time timestamptz NOT NULL,
        PRIMARY KEY (series, number),
        CONSTRAINT receipt_kind_is_known CHECK (kind IN ('top_up', 'refund')),
        CONSTRAINT receipt_number_is_positive CHECK (number >= 1),
        CONSTRAINT receipt_once UNIQUE (kind, cause)
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS star_transaction (
        bot_id bigint NOT NULL,
        id varchar NOT NULL,
        direction varchar NOT NULL,
        amount bigint NOT NULL,
        nano bigint DEFAULT '0' NOT NULL,
        partner varchar NOT NULL,
        time timestamptz NOT NULL,
        user_id bigint,
        transaction_type varchar DEFAULT '' NOT NULL,
        payload varchar,
        state varchar NOT NULL,
        document jsonb NOT NULL,
        PRIMARY KEY (bot_id, id, direction),
        CONSTRAINT star_direction_is_known CHECK (direction IN ('in', 'out')),
        CONSTRAINT star_state_is_known CHECK (state IN ('matched', 'booked', 'suspense',
            'missing'))
    )
    """,
    """
    CREATE INDEX IF NOT EXISTS star_by_time ON star_transaction (bot_id, time)
    """,
    """
    CREATE INDEX IF NOT EXISTS star_open ON star_transaction (bot_id, time) WHERE state <>
            'matched'
    """,
    """
    CREATE TABLE IF NOT EXISTS wallet_import (
        source varchar NOT NULL,
        user_id varchar NOT NULL,
        batch uuid NOT NULL,
        owner varchar NOT NULL,
        credits bigint NOT NULL,
        state varchar NOT NULL,
        actor varchar NOT NULL,
        create_time timestamptz NOT NULL,
        undo_time timestamptz,
        PRIMARY KEY (source, user_id),
        CONSTRAINT wallet_import_state_is_known CHECK (state IN ('imported', 'undone')),
        CONSTRAINT wallet_import_is_positive CHECK (credits > 0)
    )
    """,
    """
    CREATE INDEX IF NOT EXISTS wallet_import_of_batch ON wallet_import (batch)
    """,
    """
    CREATE INDEX IF NOT EXISTS wallet_import_of_owner ON wallet_import (owner)
    """,
)
