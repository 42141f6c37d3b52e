"""Alembic's entry: it runs on the connection that `generation_svc.storage.migrate` hands in."""

from alembic import context
from sqlalchemy import text

connection = context.config.attributes["connection"]
# Whoever waits for a lock stands in front of all who come after, so no migration waits for long; it
# fails instead, and `migrate` begins it again once the others have had their turn. What is built
# concurrently stands in nobody's way: there `migrate` lifts the limit.
connection.execute(text("SET lock_timeout = '1s'"))
connection.commit()
# It is not told the tables: a service that migrated at its start would keep SQLModel in memory.
context.configure(connection=connection, transaction_per_migration=True)
with context.begin_transaction():
    context.run_migrations()
