"""Stand-ins for KIE and for the Telegram Bot API, so that everything runs with no account."""
