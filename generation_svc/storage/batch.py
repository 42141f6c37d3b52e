"""Reads what is due a batch at a time, in SQL."""


def batch_of(table: str, found: str) -> str:
    """Write the batch behind a row, in the order of the ids, of what a statement finds.

    What it finds is materialized: to find the first few early, the planner might else read all of
    the table in that order.
    """
    return f"""
WITH found AS MATERIALIZED ({found}), batch AS (
    SELECT id FROM found
    WHERE id > coalesce(%(after)s::uuid, '00000000-0000-0000-0000-000000000000')
    ORDER BY id LIMIT %(limit)s)
SELECT {table}.* FROM {table} WHERE id = ANY(ARRAY(SELECT id FROM batch)) ORDER BY id
"""
