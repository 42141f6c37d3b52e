"""What must hold of each imported balance: it is with its owner, or with nobody once undone."""

from generation_svc.domain.imported_balance import MAX_ROUNDS
from generation_svc.domain.ledger_audit import Rule
from generation_svc.storage.audit.query import Check, statement_of

# A source and a user have no stroke in their names; an import after an undo has its number behind.
IMPORTED = """wallet_import WHERE wallet_import.source = split_part(transfer.cause, '/', 1)
    AND wallet_import.user_id = split_part(transfer.cause, '/', 2)"""
"""The imported balance for which a transfer was made."""

# An owner may be another one after an undo; then nothing may be left with the one before.
IMPORTED_BALANCES = statement_of(
    f"""
SELECT known.*, moved.*, row_number() OVER (ORDER BY source, user_id) AS place,
    jsonb_build_array(source, user_id)::text AS key,
    CASE state WHEN 'imported' THEN credits ELSE 0 END AS due
FROM wallet_import AS known LEFT JOIN LATERAL (
    SELECT coalesce(sum(change) FILTER (WHERE entry.owner = known.owner), 0) AS given,
        coalesce(sum(change) FILTER (WHERE entry.owner <> known.owner), 0) AS elsewhere
    FROM (SELECT transfer.owner, CASE kind WHEN 'import' THEN amount ELSE -amount END AS change
        FROM transfer WHERE kind IN ('import', 'import_undo') AND cause = ANY (ARRAY(
            SELECT known.source || '/' || known.user_id
                || CASE number WHEN 1 THEN '' ELSE '/' || number END
            FROM generate_series(1, {MAX_ROUNDS}) AS number))) AS entry
) AS moved ON true
WHERE (source, user_id) > (coalesce(%(after)s::jsonb->>0, ''), coalesce(%(after)s::jsonb->>1, ''))
ORDER BY source, user_id LIMIT %(limit)s
""",
    Check(
        Rule.IMPORT,
        subject="source || '/' || user_id",
        problem=(
            "format('it is %%s: %%s should have %%s of it and has %%s, and others have %%s', state,"
            " owner, due, given, elsewhere)"
        ),
        condition="given <> due OR elsewhere <> 0",
    ),
)
"""The statement of a page of them."""
