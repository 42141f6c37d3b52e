"""Webhooks over HTTP: which addresses are posted to, the signature, the post."""
