"""For eyes: recordings as text."""
