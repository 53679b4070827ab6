"""What the bytes mean: one grammar for each protocol, pure."""
