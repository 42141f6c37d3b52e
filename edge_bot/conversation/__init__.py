"""What is said to a user, and what is remembered of it."""
