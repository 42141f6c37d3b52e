"""All tables, as Alembic and the tests ask for them."""

from sqlalchemy import DDL, event
from sqlmodel import SQLModel

from generation_svc.storage.table import (  # noqa: F401 - each of them adds its tables
    attempt,
    catalog,
    consent,
    delivery,
    edge,
    job,
    media,
    money,
    provider,
    top_up,
)

metadata = SQLModel.metadata
"""Every table above."""

# The share of rows that wait is what claims are planned by. After every hundredth row, and not
# after every tenth: of a million jobs that would be a queue of ten thousand which nobody knows of.
RENEWED_OFTEN = ("job", "attempt", "delivery")
for _name in RENEWED_OFTEN:
    _renew = DDL(  # type: ignore[no-untyped-call] # it has no types yet
        f"ALTER TABLE {_name} SET (autovacuum_analyze_scale_factor = 0.01)"
    )
    event.listen(metadata.tables[_name], "after_create", _renew)
