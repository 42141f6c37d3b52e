"""What must hold of each wallet: it is the sum of its transfers, and its holds are open."""

from generation_svc.domain.ledger import Currency
from generation_svc.domain.ledger_audit import Rule
from generation_svc.storage.audit.query import Check, statement_of

_ACCOUNTS = ("granted", "paid", "held", "debt")
# A debt is what an account below zero lacks.
_SUMS = ", ".join(
    f"coalesce({'-' if kind == 'debt' else ''}sum(CASE WHEN target = '{kind}' THEN amount"
    f" WHEN source = '{kind}' THEN -amount ELSE 0 END), 0)::bigint AS sum_{kind}"
    for kind in _ACCOUNTS
)
WALLETS = statement_of(
    f"""
    SELECT wallet.*, row_number() OVER (ORDER BY owner) AS place, owner AS key, sums.*,
        (SELECT coalesce(sum(granted + paid), 0) FROM hold
            WHERE hold.owner = wallet.owner AND hold.state = 'open')::bigint AS kept
    FROM wallet, LATERAL (SELECT {_SUMS} FROM transfer
        WHERE transfer.owner = wallet.owner AND currency = '{Currency.CREDIT}') AS sums
    WHERE wallet.owner > coalesce(%(after)s, '') ORDER BY owner LIMIT %(limit)s
    """,
    *(
        Check(
            Rule.WALLET,
            problem=f"format('{kind} is %%s and its transfers make %%s', {kind}, sum_{kind})",
            condition=f"{kind} <> sum_{kind}",
        )
        for kind in _ACCOUNTS
    ),
    Check(
        Rule.HELD,
        problem="format('%%s are held and %%s are kept for open jobs', held, kept)",
        condition="held <> kept",
    ),
    Check(
        Rule.NEGATIVE,
        problem="format('granted %%s, paid %%s, held %%s, debt %%s', granted, paid, held, debt)",
        condition="least(granted, paid, held, debt) < 0",
    ),
)
"""The statement of a page of them."""
