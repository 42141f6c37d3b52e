"""The values and rules of the service in plain Python, without I/O or third-party imports."""
