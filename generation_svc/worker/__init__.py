"""The loops that call the use cases when work is due."""
