"""What happens when a user does something."""
