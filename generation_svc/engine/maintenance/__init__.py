"""What time alone makes due; every step is safe in every replica."""
