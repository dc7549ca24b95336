"""What a footprint shows: the sampler against a plain one."""

import torch
import torch.nn.functional as F
from torch import Tensor

from uvtex.imaging.map_estimation.footprints import ATLAS, SAMPLES, Texels, sample, sample_points


def plainly(textures: Tensor, at: Tensor) -> Tensor:
    """Bilinear colours of textures [L, 3, T, T] at points [M, K, 2]: [M, K, L, 3]."""
    grid = (at / (ATLAS / 2) - 1)[None]
    colours = F.grid_sample(
        textures.flatten(0, 1)[None], grid, padding_mode="border", align_corners=False
    )
    return colours[0].permute(1, 2, 0).unflatten(-1, (-1, 3))


def test_footprints_and_points_are_bilinear_also_at_the_border() -> None:
    generator = torch.Generator().manual_seed(0)
    for side in (1, 2, 17):
        textures = torch.rand(4, 3, side, side, generator=generator)
        position = torch.rand(200, 2, generator=generator) * (ATLAS + 20) - 10
        slope = torch.randn(200, 2, 2, generator=generator) * 5
        points = position[:, None] + torch.einsum("mij,kj->mki", slope, SAMPLES)
        texels = Texels.of(textures)
        expected = plainly(textures, points).mean(dim=1)
        assert torch.allclose(sample(texels, position, slope), expected, atol=1e-5)
        expected = plainly(textures, position[:, None])[:, 0]
        assert torch.allclose(sample_points(texels, position), expected, atol=1e-5)
