import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from torch import Tensor

from uvtex.metrics import similarity


def pictures(seed: int = 0, size: int = 48) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(2, 3, size, size, generator=generator) * 2 - 1
    return x, (x + 0.3 * torch.randn(x.shape, generator=generator)).clamp(-1, 1)


def ssim_reference(x: np.ndarray, y: np.ndarray) -> float:
    """Equation 13 of Wang et al. 2004 on one channel, data range 2, without five border pixels."""

    def blur(z: np.ndarray) -> np.ndarray:
        return gaussian_filter(z, 1.5, truncate=5 / 1.5, mode="reflect")

    c1, c2 = (0.01 * 2) ** 2, (0.03 * 2) ** 2
    mx, my = blur(x), blur(y)
    vx, vy, vxy = blur(x * x) - mx**2, blur(y * y) - my**2, blur(x * y) - mx * my
    full = (2 * mx * my + c1) * (2 * vxy + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
    return float(full[5:-5, 5:-5].mean())


def mean_ssim(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return similarity.cropped(similarity.ssim_map(x, y))


def test_ssim_equals_the_formula_of_the_paper() -> None:
    x, y = pictures()
    expected = [
        np.mean(
            [
                ssim_reference(a.double().numpy(), b.double().numpy())
                for a, b in zip(p, q, strict=True)
            ]
        )
        for p, q in zip(x, y, strict=True)
    ]
    assert mean_ssim(x, y).tolist() == pytest.approx(expected, abs=1e-4)


def test_every_metric_gives_one_for_equal_pictures() -> None:
    x, _ = pictures()
    assert mean_ssim(x, x).tolist() == pytest.approx([1, 1])
    assert similarity.haarpsi(x, x).tolist() == pytest.approx([1, 1], abs=1e-4)


def test_more_noise_lowers_every_metric() -> None:
    x, y = pictures()
    worse = (y + 0.5 * torch.randn(y.shape, generator=torch.Generator().manual_seed(1))).clamp(
        -1, 1
    )
    assert (mean_ssim(x, worse) < mean_ssim(x, y)).all()
    assert (similarity.haarpsi(x, worse) < similarity.haarpsi(x, y)).all()


def test_ssim_within_a_mask_ignores_all_other_texels() -> None:
    x, y = pictures()
    mixed, mask = x.clone(), torch.zeros(2, 1, 48, 48)
    mixed[..., 24:] = y[..., 24:]
    mask[..., :16] = 1  # eleven-pixel windows of these columns end before column 24
    assert similarity.within(similarity.ssim_map(x, mixed), mask).tolist() == pytest.approx([1, 1])
    assert similarity.within(similarity.ssim_map(x, mixed), 1 - mask).max() < 0.95
    assert similarity.within(similarity.ssim_map(x, y), torch.zeros(2, 1, 48, 48)).isnan().all()


def test_ssim_alone_equals_ssim_away_from_the_border_of_the_mask() -> None:
    x, y = pictures()
    mask = torch.ones(2, 1, 48, 48)
    mask[..., 30:] = 0
    inner = (..., slice(5, -5), slice(5, 25))
    found, plain = similarity.ssim_alone_map(x, y, mask), similarity.ssim_map(x, y)
    torch.testing.assert_close(found[inner], plain[inner], atol=1e-4, rtol=0)
    assert (found[..., 26:30] - plain[..., 26:30]).abs().max() > 0.01


def test_ssim_alone_equals_equation_13_over_the_texels_of_the_mask() -> None:
    """One texel's window, which leaves the picture, summed by hand."""
    x, y = pictures()
    mask = (torch.rand(2, 1, 48, 48, generator=torch.Generator().manual_seed(3)) < 0.5).float()
    row, column = 20, 3
    part = (..., slice(row - 5, row + 6), slice(0, column + 6))
    at = torch.arange(-5, 6).double()
    window = torch.exp(-(at[:, None] ** 2 + at**2) / (2 * 1.5**2))[:, 5 - column :]
    w = window * mask[part].double()
    w /= w.sum(dim=(2, 3), keepdim=True)
    a, b = x[part].double(), y[part].double()
    ma, mb = ((w * z).sum(dim=(2, 3)) for z in (a, b))
    va, vb, ab = ((w * z).sum(dim=(2, 3)) for z in (a * a, b * b, a * b))
    c1, c2 = 0.0004, 0.0036
    similar = (2 * ma * mb + c1) * (2 * (ab - ma * mb) + c2)
    similar /= (ma**2 + mb**2 + c1) * (va - ma**2 + vb - mb**2 + c2)
    found = similarity.ssim_alone_map(x, y, mask)[:, row, column]
    assert found.tolist() == pytest.approx(similar.mean(dim=1).tolist(), abs=1e-4)


@given(share=st.floats(0.05, 0.95), seed=st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_ssim_alone_ignores_texels_outside_the_mask(share: float, seed: int) -> None:
    x, y = pictures(seed)
    draw = torch.Generator().manual_seed(seed)
    mask = (torch.rand(2, 1, 48, 48, generator=draw) < share).float()
    other = torch.where(mask > 0, y, torch.rand(y.shape, generator=draw) * 2 - 1)
    before, after = (
        similarity.within(similarity.ssim_alone_map(x, z, mask), mask).tolist() for z in (y, other)
    )
    assert after == pytest.approx(before, abs=1e-6)
    assert similarity.within(similarity.ssim_map(x, other), mask).tolist() != pytest.approx(
        before, abs=1e-3
    )


def test_ssim_alone_of_one_texel_is_one_and_of_none_is_nan() -> None:
    x, _ = pictures()
    mask = torch.zeros(2, 1, 48, 48)
    assert similarity.within(similarity.ssim_alone_map(x, x, mask), mask).isnan().all()
    mask[..., 7, 9] = 1
    assert similarity.ssim_alone_map(x, x, mask)[:, 7, 9].tolist() == pytest.approx([1, 1])


def test_a_mean_within_a_mask_is_weighted_by_the_mask() -> None:
    values = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]])
    assert similarity.within(values, torch.tensor([[[[1.0, 0.0], [0.0, 0.5]]]])).item() == 2
    both = values.expand(2, -1, -1)
    assert similarity.within(both, torch.ones(1, 1, 2, 2)).tolist() == [
        2.5,
        2.5,
    ]  # one mask for all
