"""What the sandbox says of Telegram Stars, held against the models of another library."""
