"""The ports of the use cases and the engine, as small Protocols."""
