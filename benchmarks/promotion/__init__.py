"""Pruners judged on recorded learning curves; ``benchmarks/promotion/README.md`` is the manual."""
