"""The Telegram edge: every word and button a user sees, and the sending."""
