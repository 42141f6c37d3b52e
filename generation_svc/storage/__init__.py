"""PostgreSQL: rows, one store per aggregate, the listener, migrations."""
