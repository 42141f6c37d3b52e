"""What must hold of each transfer."""

from generation_svc.domain.ledger_audit import Rule, known_ways
from generation_svc.storage.audit.imported_balance import IMPORTED
from generation_svc.storage.audit.query import Check, exists, statement_of

_WAYS = ", ".join(f"('{kind}', '{s}', '{t}', '{c}')" for kind, s, t, c in sorted(known_ways()))
# Only what looks like a UUID is read as one.
_IS_UUID = "'^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'"
# Refunds of one top-up after the first one have a number behind its id.
_CAUSE = "split_part(transfer.cause, '/', 1)"
_CAUSE_ID = f"CASE WHEN {_CAUSE} ~ {_IS_UUID} THEN {_CAUSE}::uuid END"
TRANSFERS = statement_of(
    f"""
    SELECT transfer.*, row_number() OVER (ORDER BY id) AS place, id::text AS key,
        (kind, source, target, currency) IN ({_WAYS}) AS is_known,
        owner IS NULL OR {exists("wallet WHERE wallet.owner = transfer.owner")} AS is_owned,
        CASE WHEN kind IN ('hold', 'capture', 'release') THEN
                {exists(f"hold WHERE hold.job_id = {_CAUSE_ID} AND hold.owner = transfer.owner")}
            WHEN kind IN ('top_up', 'refund', 'chargeback', 'debt_payment') THEN
                {exists(f"top_up WHERE top_up.id = {_CAUSE_ID} AND top_up.owner = transfer.owner")}
            WHEN kind IN ('import', 'import_undo') THEN {exists(IMPORTED)}
            ELSE true END AS is_caused,
        coalesce((SELECT earlier.balance_after FROM transfer AS earlier
            WHERE earlier.owner = transfer.owner AND earlier.id < transfer.id
            ORDER BY earlier.id DESC LIMIT 1), 0)
            + CASE WHEN target IN ('granted', 'paid') THEN amount ELSE 0 END
            - CASE WHEN source IN ('granted', 'paid') THEN amount ELSE 0 END AS balance
    FROM transfer WHERE id > coalesce(%(after)s::bigint, 0) ORDER BY id LIMIT %(limit)s
    """,
    Check(
        Rule.ROUTE,
        problem="format('%%s of %%s goes from %%s to %%s', kind, currency, source, target)",
        condition="NOT is_known",
    ),
    Check(
        Rule.OWNER,
        problem="format('owner %%s has no wallet', owner)",
        condition="NOT is_owned",
    ),
    Check(
        Rule.CAUSE,
        problem=(
            "format('there is nothing of %%s that a %%s could be for: %%s', owner, kind, cause)"
        ),
        condition="NOT is_caused",
    ),
    Check(
        Rule.BALANCE,
        problem="format('the balance after it is %%s and should be %%s', balance_after, balance)",
        condition="owner IS NOT NULL AND balance_after <> balance",
    ),
)
"""The statement of a page of them."""
