"""Receives updates, by polling or webhook, and confirms them once they are handled."""
