"""Telegram's Bot API: the client, its limits, its errors, its updates."""
