"""The processes that examine media, and the queue in front of them."""
