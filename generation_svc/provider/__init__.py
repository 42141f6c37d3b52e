"""Adapters of providers, one folder each."""
