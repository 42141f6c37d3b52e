"""The PostgreSQL of `make run`: its folder, its programs, its end."""
