"""Finds the UV maps of a set of photos, and writes the set with them (``uvtex data maps``)."""
