"""What the bot does about Stars beside conversations: checkouts, refunds, Telegram's own list."""
