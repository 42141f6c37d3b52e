"""Webhooks over HTTP: allowed addresses, signatures and posts."""
