"""What a user sees: each screen is text and buttons made from data."""
