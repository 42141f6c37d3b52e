"""Alembic's entry: it runs on the connection that `generation_svc.storage.migrate` hands in."""

from alembic import context
from sqlalchemy import text

from generation_svc.storage.row import metadata

connection = context.config.attributes["connection"]
# A migration that cannot get its lock must fail and be tried again, not stop all traffic behind it.
connection.execute(text("SET lock_timeout = '5s'"))
connection.commit()
context.configure(connection=connection, target_metadata=metadata, transaction_per_migration=True)
with context.begin_transaction():
    context.run_migrations()
