"""The use cases that callers start, one module for each RPC."""
