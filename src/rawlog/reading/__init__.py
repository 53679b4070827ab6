"""Files to recordings."""
