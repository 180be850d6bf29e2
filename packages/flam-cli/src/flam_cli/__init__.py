"""``queuectl``, the command line of Flam."""

__version__ = "0.1.0"
