"""Two renderings of the same values: for a person, and as JSON."""
