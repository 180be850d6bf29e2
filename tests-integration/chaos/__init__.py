"""Flam under every kind of trouble; judged by what its jobs themselves have written down."""
