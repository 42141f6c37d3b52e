"""The bytes of media: fetching, examining and storing them."""
