"""Estimates a still camera's UV map from views of several liveries and their textures."""
