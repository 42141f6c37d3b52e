"""The tables. SQLModel describes them, Alembic makes them, psycopg moves the data.

A row class is never a guard: each rule that must hold is a named constraint here. Times are
`timestamptz`; words with a fixed set of values are text with a CHECK, so that adding one is a
change that an older release survives.
"""
