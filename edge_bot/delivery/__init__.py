"""How results and progress go out."""
