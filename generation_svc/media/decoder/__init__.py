"""The processes that examine pictures, and the queue in front of them."""
