"""The screens that users see: text and buttons made from data."""
