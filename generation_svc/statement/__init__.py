"""Writes statements as files; it knows the domain alone, and is imported when one is asked for."""
