"""The bytes: where they are kept and how a result is fetched."""
