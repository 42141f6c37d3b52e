"""What is sold, by whom, and what an invoice says."""
