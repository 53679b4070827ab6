"""Recordings in the browser."""
