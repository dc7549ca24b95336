"""A tiny study that runs in real processes, the faults it is given, and all that it left behind."""
