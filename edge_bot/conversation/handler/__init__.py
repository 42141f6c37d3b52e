"""What happens when a user does something: one module for each kind of thing."""
