"""How updates come in: polled or posted, in order, confirmed once they are handled."""
