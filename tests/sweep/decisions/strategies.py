"""Metrics and thresholds for the tests of decisions."""

from __future__ import annotations

from hypothesis import strategies as st

from uvtex.thresholds import Threshold

metric = st.floats(-1, 1)

thresholds = (
    Threshold(metric="ssim_uv", at_least=0.3),
    Threshold(metric="lpips_view", at_most=0.5),
)
