"""Sends results and progress."""
