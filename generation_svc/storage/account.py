"""Accounts as stored in rows.

The release 0.1.0 knows one account, and none of its rows names it. So what belongs to that account
has the names that it had, and what belongs to another one has names that no older release looks at.
"""

from generation_svc.domain.account import DEFAULT_ACCOUNT, Account

FIRST_ACCOUNT = Account("kie", DEFAULT_ACCOUNT)
"""The account of rows that name none."""


def budget_name(budget: str, account: Account | None) -> str:
    """Return under which name a budget is counted."""
    return budget if account in (None, FIRST_ACCOUNT) else f"{budget} of {account}"
