"""The use cases of money: wallets, payments, Stars, and what an operator says of them."""
