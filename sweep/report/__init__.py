"""The results of a study: its report as one HTML file, its summary, and comparisons of runs."""
