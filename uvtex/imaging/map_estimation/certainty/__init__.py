"""How sure the place of a pixel is."""
