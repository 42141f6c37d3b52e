"""What the use cases and the engine need of others, as small Protocols."""
