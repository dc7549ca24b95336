"""The colours of pictures, and their conversion to sRGB."""
