"""Outgoing connections to hosts that others chose."""
