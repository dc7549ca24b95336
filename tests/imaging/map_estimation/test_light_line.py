"""The table of evidence finds a texel in the dark as it does in the light."""

import pytest
import torch

from uvtex.imaging.map_estimation.light_line import LightPrior, evidence_table
from uvtex.imaging.map_estimation.texel_table import TABLE_NOISE


@pytest.mark.parametrize("brightness", [1.0, 0.1, 0.02])
def test_a_dark_pixel_is_as_good_as_a_bright_one(brightness: float) -> None:
    generator = torch.Generator().manual_seed(0)
    texels = brightness * torch.rand(300, 12, 3, generator=generator)
    off = 0.01 * brightness * torch.randn(texels.shape, generator=generator)
    table = evidence_table(0.5 * texels + off, texels, TABLE_NOISE, LightPrior.of_showrooms())
    here = table.diagonal()
    others = table - torch.diag(torch.full((300,), torch.inf))
    assert (here - others.amax(dim=1)).min() > 10
