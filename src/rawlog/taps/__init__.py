"""The doors by which bytes come in."""
