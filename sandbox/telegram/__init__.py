"""A stand-in for the Telegram Bot API, with a chat page for people."""
