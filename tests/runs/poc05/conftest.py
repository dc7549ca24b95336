"""Networks of the original."""

import pytest
import torch
from torch import nn

from tests.runs.poc05.original import TheirUNet, scramble
from uvtex.models import ConvRenderer


@pytest.fixture(scope="module")
def networks() -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(3)
    renderer = nn.Sequential()  # keys "c0.weight" ..., where ours are "layers.0.weight" ...
    for number, layer in enumerate(ConvRenderer().layers):
        renderer.add_module(f"c{number}", layer)
    return scramble(TheirUNet()), renderer
