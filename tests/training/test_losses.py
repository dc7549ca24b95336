import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from uvtex.data.batch import Pair
from uvtex.metrics.similarity import ssim_map
from uvtex.models.forward import Outputs
from uvtex.training.losses import dissimilarity, masked_l1, terms, total


def by_hand(pair: Pair, out: Outputs) -> dict[str, Tensor]:
    """The loss terms by definition, pixel by pixel."""

    def mean_l1(x: Tensor, y: Tensor) -> Tensor:
        parts = [abs(p - q) for p, q in zip(x.flatten(), y.flatten(), strict=True)]
        return sum(parts) / len(parts)

    def masked(x: Tensor, v: Tensor, m: Tensor) -> Tensor:
        up, area = torch.zeros((), dtype=x.dtype), torch.zeros((), dtype=x.dtype)
        b, channels, height, width = x.shape
        for i in range(b):
            for r in range(height):
                for c in range(width):
                    area = area + m[i, 0, r, c]
                    for k in range(channels):
                        up = up + abs(x[i, k, r, c] - v[i, k, r, c]) * m[i, 0, r, c]
        return up / (area * channels)

    return {
        "cycle": (masked(out.view_a, pair.a, pair.mask_a) + masked(out.view_b, pair.b, pair.mask_b))
        / 2,
        "uv": mean_l1(out.texture_true, pair.texture),
        "direct": (mean_l1(out.texture_a, pair.texture) + mean_l1(out.texture_b, pair.texture)) / 2,
        "cross": mean_l1(out.texture_a, out.texture_b),
        "render": (
            masked(out.true_a, pair.a, pair.mask_a) + masked(out.true_b, pair.b, pair.mask_b)
        )
        / 2,
    }


@settings(deadline=None, max_examples=10)
@given(st.integers(1, 2), st.integers(2, 3), st.integers(0, 10**6))
def test_values_and_gradients_equal_those_of_a_plain_loop(batch: int, size: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)

    def image(channels: int = 3) -> Tensor:
        shape = (batch, channels, size, size)
        return torch.rand(shape, generator=generator, dtype=torch.float64) * 2 - 1

    pair = Pair(image(), image(), image(), (image(1) + 1) / 2, (image(1) + 1) / 2)
    leaves = [image().requires_grad_() for _ in range(7)]
    weights = {"cycle": 0.3, "uv": 0.25, "direct": 0.2, "cross": 0.7, "render": 0.4}
    fast, slow = terms(pair, Outputs(*leaves)), by_hand(pair, Outputs(*leaves))
    assert fast.keys() == slow.keys()
    for name in fast:
        torch.testing.assert_close(fast[name], slow[name])
    torch.testing.assert_close(
        torch.autograd.grad(total(fast, weights), leaves),
        torch.autograd.grad(total(slow, weights), leaves),
    )


def test_gradients_agree_with_finite_differences() -> None:
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.rand(2, 3, 3, 3, generator=generator, dtype=torch.float64) for _ in range(2))
    mask = (torch.rand(2, 1, 3, 3, generator=generator) > 0.3).double()
    assert torch.autograd.gradcheck(lambda z: masked_l1(z, y, mask), x.requires_grad_())


def test_the_loss_over_an_empty_mask_is_zero() -> None:
    x = torch.ones(1, 3, 4, 4)
    assert masked_l1(x, -x, torch.zeros(1, 1, 4, 4)).item() == 0


def test_the_cycle_term_ignores_what_lies_outside_the_mask() -> None:
    x, y, mask = torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 4, 4), torch.zeros(1, 1, 4, 4)
    mask[..., :2] = 1
    y[..., 2:] = 9
    assert masked_l1(x, y, mask).item() == 0
    y[..., :2] = 0.5
    assert masked_l1(x, y, mask).item() == pytest.approx(0.5)


def test_dissimilarity_equals_one_minus_ssim_in_value_and_gradient() -> None:
    generator = torch.Generator().manual_seed(0)
    texture_a, texture_b, true = (torch.rand(2, 3, 40, 40, generator=generator) for _ in range(3))
    # Equal near the border, where the two differ in their treatment of outside pixels.
    inside = torch.zeros(1, 1, 40, 40)
    inside[..., 12:-12, 12:-12] = 1
    leaves = [torch.lerp(true, x, inside).requires_grad_() for x in (texture_a, texture_b)]
    pair = Pair(true, true, true, inside, inside)
    found = dissimilarity(pair, Outputs(*leaves, true, true, true, true, true))
    expected = 1 - sum(ssim_map(leaf, true).mean() for leaf in leaves) / 2
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-4)
    ours, theirs = (torch.autograd.grad(value, leaves) for value in (found, expected))
    for a, b in zip(ours, theirs, strict=True):
        part = (..., slice(12, -12), slice(12, -12))
        torch.testing.assert_close(a[part], b[part], atol=1e-7, rtol=1e-3)
