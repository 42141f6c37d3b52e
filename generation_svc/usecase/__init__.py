"""What callers start: one module for each, named after its RPC."""
