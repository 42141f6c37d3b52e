"""What the clock starts: work that is due, done under leases."""
