"""Correspondence by attention: the flow, its spread, and both under autocast."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from uvtex.models import CameraCode
from uvtex.models.attention import AttentionPredictor, AttentionRenderer, CrossAttentionFlow

SIDE, CHANNELS = 16, 24


def matching_attention(sharpness: float) -> tuple[CrossAttentionFlow, Tensor, Tensor]:
    """Attention whose queries match the keys of their own place, these keys, and a code."""
    attention = CrossAttentionFlow(SIDE, CHANNELS)
    torch.nn.init.constant_(attention.sharpness, sharpness)
    generator = torch.Generator().manual_seed(0)
    keys = attention.query.detach() + 0.1 * torch.randn(
        2, SIDE * SIDE, CHANNELS, generator=generator
    )
    return attention, keys, torch.randn(2, CHANNELS, generator=generator) / 10


@pytest.mark.parametrize("sharpness", [0.0, 2.0, 5.0])
def test_autocast_does_not_change_the_flow(sharpness: float) -> None:
    attention, keys, change = matching_attention(sharpness)
    flow, spread = attention(keys, change)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        coarse_flow, coarse_spread = attention(keys, change)
    assert coarse_flow.dtype == coarse_spread.dtype == torch.float32
    assert torch.equal(coarse_flow, flow)
    assert torch.equal(coarse_spread, spread)


def test_the_spread_is_the_variance_of_the_places() -> None:
    attention, keys, change = matching_attention(2.0)
    flow, spread = attention(keys, change)
    query = (attention.query + change[:, None]).double()
    scores = query @ keys.double().transpose(1, 2) * torch.e**2 / CHANNELS**0.5
    offsets = attention.centres.double() - flow.flatten(2).transpose(1, 2).double()[:, :, None]
    variance = (scores.softmax(dim=2) * offsets.square().sum(dim=3)).sum(dim=2)
    torch.testing.assert_close(spread.flatten(1).double(), variance, atol=2e-6, rtol=1e-4)


@pytest.mark.parametrize("sharpness", [3.0, 6.0, 9.0])
def test_the_spread_is_never_negative(sharpness: float) -> None:
    attention, keys, change = matching_attention(sharpness)
    assert float(attention(keys, change)[1].detach().min()) >= 0


def test_a_predictor_without_cameras_gives_a_code_that_its_renderer_needs() -> None:
    texture, code = AttentionPredictor(32, 0.1).predict(torch.rand(4, 3, 32, 32) * 2 - 1)
    assert isinstance(code, CameraCode)
    assert torch.equal(code.half(1).code, code.code[2:])
    renderer = AttentionRenderer(32, 0.1)
    assert renderer(texture, code).shape == (4, 3, 32, 32)
    with pytest.raises(ValueError, match="camera code"):
        renderer(texture)
