"""Who may be connected to: hosts, addresses and names that somebody else chose."""
