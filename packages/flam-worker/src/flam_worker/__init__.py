"""Flam's workers: the pool behind ``flam-worker``, as a library."""

__version__ = "0.1.0"
