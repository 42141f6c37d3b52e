"""The words and rules of generation, in plain Python: no I/O, no third-party imports."""
