"""What an operator does with many wallets at once, from the command line."""
