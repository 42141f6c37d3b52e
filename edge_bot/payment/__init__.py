"""Payments in Telegram Stars: offers, checks, credits, refunds and what Telegram says of them."""
