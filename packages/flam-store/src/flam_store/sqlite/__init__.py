"""Flam's store in an SQLite file."""
