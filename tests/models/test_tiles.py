"""Convolutions by tiles and by rows against the plain ones: values and gradients."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from uvtex.models import ConvRenderer
from uvtex.models.poc05 import winograd


def random_texture(dtype: torch.dtype) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(2, 3, 32, 32, generator=generator, dtype=dtype) * 2 - 1


@settings(deadline=None, max_examples=40)
@given(
    count=st.integers(1, 6),
    channels=st.integers(1, 9),
    outputs=st.integers(1, 9),
    height=st.integers(1, 33),
    width=st.integers(1, 33),
    size=st.sampled_from(winograd.SIZES),
    seed=st.integers(0, 10**6),
    channels_last=st.booleans(),
    at_once=st.sampled_from([1, 7, 20, winograd.TILES]),
)
def test_tiles_equal_the_plain_convolution(
    count: int,
    channels: int,
    outputs: int,
    height: int,
    width: int,
    size: int,
    seed: int,
    channels_last: bool,
    at_once: int,
) -> None:
    generator = torch.Generator().manual_seed(seed)

    def leaf(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    x = leaf(count, channels, height, width)
    if channels_last:
        x = x.contiguous(memory_format=torch.channels_last)
    leaves = [x, leaf(outputs, channels, size, size), leaf(outputs)]
    for tensor in leaves:
        tensor.requires_grad_()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(winograd, "TILES", at_once)  # few: a picture in parts, row by row
        fast = winograd.Tiled.apply(*leaves)
        plain = F.relu(F.conv2d(*leaves, padding=size // 2))
        torch.testing.assert_close(fast, plain)
        into = leaf(*plain.shape)
        torch.testing.assert_close(
            torch.autograd.grad(fast, leaves, into), torch.autograd.grad(plain, leaves, into)
        )
        wanted = [leaves[1], leaves[2]]  # as for pictures, which nobody differentiates by
        torch.testing.assert_close(
            torch.autograd.grad(winograd.Tiled.apply(x.detach(), *wanted), wanted, into),
            torch.autograd.grad(
                F.relu(F.conv2d(x.detach(), *wanted, padding=size // 2)), wanted, into
            ),
        )


@settings(deadline=None, max_examples=20)
@given(
    count=st.integers(1, 3),
    channels=st.integers(1, winograd.FEW - 1),
    size=st.sampled_from([1, 3, 5, 7]),
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    seed=st.integers(0, 10**6),
)
def test_a_convolution_by_rows_equals_the_plain_one(
    count: int, channels: int, size: int, height: int, width: int, seed: int
) -> None:
    torch.manual_seed(seed)
    shapes = [(count, channels, height, width), (4, channels, size, size), (4,)]
    leaves = [torch.randn(s, dtype=torch.float64, requires_grad=True) for s in shapes]
    rows, plain = winograd.by_rows(*leaves), F.conv2d(*leaves, padding=size // 2)
    torch.testing.assert_close(rows, plain)
    into = torch.randn_like(plain)
    torch.testing.assert_close(
        torch.autograd.grad(rows, leaves, into), torch.autograd.grad(plain, leaves, into)
    )


def test_the_gradient_of_tiles_agrees_with_finite_differences() -> None:
    generator = torch.Generator().manual_seed(0)
    shapes = [(1, 2, 8, 4), (2, 2, 3, 3), (2,)]
    leaves = [
        torch.randn(s, generator=generator, dtype=torch.float64).requires_grad_() for s in shapes
    ]
    assert torch.autograd.gradcheck(winograd.Tiled.apply, leaves)


@pytest.mark.parametrize("size", winograd.SIZES)
def test_tiles_in_float32_are_as_exact_as_float32_is(size: int) -> None:
    """Error against float64, as a share of the result's norm: 1e-5, where bf16 has 4e-3."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 64, 32, 32, generator=generator)
    weight = torch.randn(64, 64, size, size, generator=generator) / (8 * size)
    leaves = [x, weight, torch.zeros(64)]
    into = torch.randn(2, 64, 32, 32, generator=generator)
    found = []
    for dtype, conv in ((torch.float32, winograd.Tiled.apply), (torch.float64, plain_conv)):
        here = [leaf.to(dtype).requires_grad_() for leaf in leaves]
        out = conv(*here)
        # ReLU may fall either way where its input is 0 but for rounding; hence not its gradient.
        found.append([out, *torch.autograd.grad(out, here[2:], into.to(dtype))])
    for fast, exact in zip(*found, strict=True):
        assert (fast - exact).norm() < 1e-5 * exact.norm()


def plain_conv(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return F.relu(F.conv2d(x, weight, bias, padding=weight.shape[2] // 2))


@pytest.mark.usefixtures("threads_put_back")
@pytest.mark.parametrize("at_once", [1, 2])
def test_the_renderer_uses_tiles_at_full_width_and_equals_the_plain_layers(at_once: int) -> None:
    torch.set_num_threads(at_once)
    renderer = ConvRenderer().double()
    texture = random_texture(torch.float64)
    convs = [layer for layer in renderer.layers if isinstance(layer, nn.Conv2d)]
    used = [winograd.pays(torch.empty(1, c.in_channels, 32, 32).double(), c.weight) for c in convs]
    assert used == [False, True, True, True, True, False]
    with torch.inference_mode():
        assert renderer(texture).shape == texture.shape
    x = texture
    for conv in convs[:-1]:
        x = F.relu(F.conv2d(x, conv.weight, conv.bias, padding=conv.kernel_size[0] // 2))
    x = torch.tanh(F.conv2d(x, convs[-1].weight, convs[-1].bias, padding=1))
    made = renderer(texture)
    torch.testing.assert_close(made, x)
    parameters = list(renderer.parameters())
    torch.testing.assert_close(
        torch.autograd.grad(made.square().sum(), parameters),
        torch.autograd.grad(x.square().sum(), parameters),
    )


def test_a_traced_program_holds_plain_convolutions() -> None:
    """An exported renderer must run on any device, and at any size."""
    renderer = ConvRenderer().eval()
    texture = random_texture(torch.float32)
    program = torch.export.export(renderer, (texture,))
    called = [str(node.target) for node in program.graph.nodes if "conv" in str(node.target)]
    assert len(called) == 6
    torch.testing.assert_close(program.module()(texture), renderer(texture), atol=1e-4, rtol=1e-3)
