"""Hits of a whole detector, in its own frame: which are wanted, and where a shower's axis lies."""
