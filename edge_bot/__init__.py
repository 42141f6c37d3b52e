"""The Telegram edge: its conversation with users, and the sending of results."""
