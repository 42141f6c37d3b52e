"""Says what the bytes of a picture are; it runs in processes of its own and knows Pillow alone."""
