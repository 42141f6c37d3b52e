"""Writes statements and receipts as files, in a process of its own; it knows the domain alone."""
