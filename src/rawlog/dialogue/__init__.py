"""What was said: pairing, masking, merging, pure."""
