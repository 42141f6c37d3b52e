"""Steps that time alone makes due; each is safe in every replica."""
