"""Work that time or news makes due, done under leases by any replica."""
