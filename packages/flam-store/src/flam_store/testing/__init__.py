"""What a test of the queue needs: a clock set by hand, and the conformance suite for engines.

``flam_store.testing.clock`` stands by itself; ``flam_store.testing.conformance`` needs pytest.
"""
