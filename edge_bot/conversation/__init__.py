"""The conversation with a user, and its state."""
