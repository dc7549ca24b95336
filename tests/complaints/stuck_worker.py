"""A runner whose module never finishes loading."""

import time

time.sleep(600)
