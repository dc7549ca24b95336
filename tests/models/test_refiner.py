"""The refiner: its initial values, the clipping of its gradients, and its bounds."""

from __future__ import annotations

import pytest
import torch

from uvtex.models.refiner import LARGEST, Residual, TextureRefiner, bounded


def test_an_untrained_refiner_adds_nothing() -> None:
    assert torch.equal(TextureRefiner(5, 0.2)(torch.randn(2, 5, 16, 16)), torch.zeros(2, 3, 16, 16))


def test_a_residual_block_starts_as_the_identity_and_has_gradients() -> None:
    block, x = Residual(4), torch.randn(2, 4, 8, 8)
    assert torch.equal(block(x), x)
    block(x).square().sum().backward()
    assert block.second.weight.grad is not None
    assert block.second.weight.grad.abs().sum() > 0


@pytest.mark.parametrize(("scale", "norm"), [(1e-4, None), (1e6, LARGEST)])
def test_only_large_gradients_are_clipped(scale: float, norm: float | None) -> None:
    refiner = TextureRefiner(3, 0.2)
    (refiner(torch.randn(1, 3, 16, 16)) * scale).mean().backward()
    before = torch.stack([p.grad.norm() for p in refiner.parameters() if p.grad is not None]).norm()
    refiner.clip_gradients()
    after = torch.stack([p.grad.norm() for p in refiner.parameters() if p.grad is not None]).norm()
    torch.testing.assert_close(float(after), norm or float(before), rtol=1e-4, atol=0)


@pytest.mark.parametrize("start", [-9.0, 9.0])
def test_values_out_of_bounds_are_clipped_and_have_gradients(start: float) -> None:
    x = torch.full((4,), start, requires_grad=True)
    assert bounded(x).tolist() == [1.0 if start > 0 else -1.0] * 4
    (bounded(x) - 0.5).abs().sum().backward()
    assert torch.equal(x.grad, torch.full((4,), 1.0 if start > 0 else -1.0))  # type: ignore[arg-type]
