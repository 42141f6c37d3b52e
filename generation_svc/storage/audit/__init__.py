"""The check of the ledger in SQL, a module for each part of it."""
