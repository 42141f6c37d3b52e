"""Credits, payments and Stars in the database."""
