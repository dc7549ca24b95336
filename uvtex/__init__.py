"""UV textures of race-car liveries from showroom pictures."""

__version__ = "0.1.0"
