"""The standalone flam-worker, against the queue of an installed queuectl."""
