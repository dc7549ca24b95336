"""Pixels that no plane of their own explains."""
