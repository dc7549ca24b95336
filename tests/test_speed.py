"""Every fast path against a readable one: values, gradients, and what is left behind."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from uvtex import checkpoint
from uvtex.losses import Outputs, Pair, terms, total
from uvtex.models import ConvRenderer, UNet, threads, winograd
from uvtex.models.base import Predictor
from uvtex.models.threads import apart, shared
from uvtex.passes import forward

WEIGHTS = {"cycle": 0.3, "uv": 0.25, "direct": 0.2, "cross": 0.7}


def one_by_one(predictor: nn.Module, renderer: nn.Module, pair: Pair) -> Outputs:
    """The six passes as the original makes them."""
    texture_a, texture_b = predictor(pair.a), predictor(pair.b)
    view_a, view_b = renderer(texture_a), renderer(texture_b)
    view_true = renderer(pair.texture)
    last = (predictor(view_true), None, None)
    return Outputs(texture_a, texture_b, view_a, view_b, view_true, view_true, *last)


def random_pair(seed: int, batch: int, size: int, dtype: torch.dtype = torch.float64) -> Pair:
    generator = torch.Generator().manual_seed(seed)
    images = (torch.rand(batch, 3, size, size, generator=generator, dtype=dtype) for _ in range(3))
    masks = (torch.rand(batch, 1, size, size, generator=generator, dtype=dtype) for _ in range(2))
    return Pair(*(image * 2 - 1 for image in images), *masks)


def networks(seed: int, width: float, dtype: torch.dtype = torch.float64) -> list[nn.Module]:
    torch.manual_seed(seed)
    layout: Any = torch.channels_last
    return [n.to(dtype).to(memory_format=layout) for n in (UNet(width), ConvRenderer(width))]


def stepped(
    passes: Callable[[Any, Any, Pair], Outputs], networks: list[nn.Module], pair: Pair
) -> list[Tensor]:
    """Outputs, gradients and buffers after a step's backward pass."""
    out = passes(*networks, pair)
    loss = total(terms(pair, out), WEIGHTS)
    parameters = [p for n in networks for p in n.parameters()]
    gradients = torch.autograd.grad(loss, parameters)
    buffers = [b for n in networks for b in n.buffers()]
    made = [value for value in vars(out).values() if value is not None]
    return [*made, loss, *gradients, *buffers]


@settings(deadline=None, max_examples=12)
@given(
    batch=st.integers(1, 4),
    size=st.sampled_from([32, 48]),
    width=st.sampled_from([0.05, 0.1, 0.2]),
    seed=st.integers(0, 10**6),
    training=st.booleans(),
)
def test_batched_passes_equal_six_separate_ones(
    batch: int, size: int, width: float, seed: int, training: bool
) -> None:
    """Values, gradients, running statistics and their count: BatchNorm's part of the passes."""
    pair = random_pair(seed, batch, size)
    both = [networks(seed, width) for _ in range(2)]
    for pairwise in both:
        for network in pairwise:
            network.train(training)
    # A bias before BatchNorm has no gradient: what is found there is rounding, the larger the more
    # alike a channel's values are, and with one small picture they nearly are.
    torch.testing.assert_close(
        stepped(forward, both[0], pair), stepped(one_by_one, both[1], pair), atol=1e-6, rtol=1e-6
    )


def test_statistics_over_all_passes_at_once_would_not_be_equal() -> None:
    """The comparison above can fail: this is what naive batching does."""

    class Naive(Predictor):
        normalises_over_batch = True

        def __init__(self, network: nn.Module) -> None:
            super().__init__()
            self.network = network

        def passes(self, *views: Tensor) -> tuple[Tensor, ...]:
            return self.network(torch.cat(views)).chunk(len(views))

    pair = random_pair(0, 2, 32)
    predictor, renderer = networks(0, 0.1)
    right = forward(predictor, renderer, pair)
    naive = forward(Naive(predictor), renderer, pair)
    assert not torch.allclose(right.texture_a, naive.texture_a, atol=1e-3)


@pytest.fixture
def threads_put_back() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


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


@pytest.mark.usefixtures("threads_put_back")
def test_shared_work_keeps_its_order_and_torchs_threads() -> None:
    torch.set_num_threads(3)
    weight = torch.ones(2, requires_grad=True)
    callers = torch.get_num_threads(), torch.is_grad_enabled()

    def work(items: Sequence[int]) -> tuple[list[int], int, Tensor]:
        return list(items), torch.get_num_threads(), weight * len(items)

    done = shared(work, range(10))
    assert [item for items, _, _ in done for item in items] == list(range(10))
    assert sorted(len(items) for items, _, _ in done) == [3, 3, 4]
    assert [threads for _, threads, _ in done] == [1, 1, 1]
    assert not any(made.requires_grad for _, _, made in done)
    assert (torch.get_num_threads(), torch.is_grad_enabled()) == callers
    few = shared(work, [7, 8])  # torch's own threads do better at these
    assert [(items, threads) for items, threads, _ in few] == [([7, 8], 3)]
    with ThreadPoolExecutor(1) as later:
        assert later.submit(torch.get_num_threads).result() == 3


@pytest.mark.usefixtures("threads_put_back")
@settings(
    deadline=None,
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # puts back after all examples
)
@given(
    count=st.integers(0, 9),
    most=st.integers(1, 4),
    at_once=st.integers(1, 3),
    learns=st.booleans(),
    asked=st.booleans(),
    seed=st.integers(0, 10**6),
)
def test_pictures_worked_on_apart_equal_all_at_once(
    count: int, most: int, at_once: int, learns: bool, asked: bool, seed: int
) -> None:
    """Values and gradients, of the pictures, of the parameters, or of both."""
    torch.set_num_threads(at_once)
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Tanh(), nn.Conv2d(4, 2, 1)).double()
    network.requires_grad_(learns)
    x = torch.randn(count, 3, 6, 5, dtype=torch.float64, requires_grad=asked)
    into = torch.randn(count, 2, 6, 5, dtype=torch.float64)
    wanted = [*([x] if asked else []), *(network.parameters() if learns else [])]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(threads, "PIXELS", most * 6 * 5)
        made = apart(network, x)
        pieces = count > most if at_once == 1 else count >= at_once
        assert was_apart(made) == (bool(wanted) and pieces)
        torch.testing.assert_close(made, network(x))
        if wanted:
            torch.testing.assert_close(
                torch.autograd.grad(made, wanted, into),
                torch.autograd.grad(network(x), wanted, into),
            )


def was_apart(made: Tensor) -> bool:
    return getattr(type(made.grad_fn), "_forward_cls", None) is threads.Apart


def test_nothing_is_worked_on_apart_where_it_does_not_pay() -> None:
    network, x = nn.Conv2d(3, 4, 1), torch.randn(40, 3, 64, 64)
    assert was_apart(apart(network, x))
    with torch.autocast("cpu", torch.bfloat16):
        assert not was_apart(apart(network, x))
    calls = []
    network.register_forward_hook(lambda *_: calls.append(None))
    with torch.no_grad():
        apart(network, x)
    assert len(calls) == 1


@pytest.mark.usefixtures("threads_put_back")
def test_a_thread_that_cannot_be_started_is_said_and_nobody_waits_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As where memory for its stack has run out."""
    torch.set_num_threads(7)  # a number that has no pool yet
    start, started = threading.Thread.start, []

    def starting(thread: threading.Thread) -> None:
        if len(started) == 3:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", starting)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        shared(len, range(7))
    assert torch.get_num_threads() == 7
    for thread in started:
        thread.join(10)
    assert not any(thread.is_alive() for thread in started)


@pytest.mark.usefixtures("threads_put_back")
def test_an_error_in_shared_work_reaches_the_caller_when_all_have_ended() -> None:
    torch.set_num_threads(3)
    ended = []

    def work(items: Sequence[int]) -> None:
        if items[0] == 6:  # first in order, first to end
            raise ValueError(f"no such thing as {items[0]}")
        time.sleep(0.1)
        ended.append(items[0])

    with pytest.raises(ValueError, match="no such thing as 6"):
        shared(work, [6, 5, 7])
    assert sorted(ended) == [5, 7]


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
    texture = random_pair(0, 2, 32).texture
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
    assert was_apart(made) == (at_once == 2)
    torch.testing.assert_close(made, x)
    parameters = list(renderer.parameters())
    torch.testing.assert_close(
        torch.autograd.grad(made.square().sum(), parameters),
        torch.autograd.grad(x.square().sum(), parameters),
    )


def test_a_traced_program_holds_plain_convolutions() -> None:
    """An exported renderer must run on any device, and at any size."""
    renderer = ConvRenderer().eval()
    texture = random_pair(0, 2, 32, torch.float32).texture
    program = torch.export.export(renderer, (texture,))
    called = [str(node.target) for node in program.graph.nodes if "conv" in str(node.target)]
    assert len(called) == 6
    torch.testing.assert_close(program.module()(texture), renderer(texture), atol=1e-4, rtol=1e-3)


def test_a_restored_optimiser_goes_on_as_if_never_stopped() -> None:
    """A fused Adam whose state lies in memory unlike its parameter computes nonsense, silently."""

    def step(conv: nn.Module, adam: torch.optim.Optimizer, seed: int) -> None:
        x = torch.randn(2, 5, 8, 8, generator=torch.Generator().manual_seed(seed))
        adam.zero_grad()
        conv(x).pow(2).sum().backward()
        adam.step()

    def begin() -> tuple[nn.Module, torch.optim.Optimizer]:
        torch.manual_seed(0)
        layout: Any = torch.channels_last
        conv = nn.Conv2d(5, 7, 3).to(memory_format=layout)
        return conv, torch.optim.Adam(conv.parameters(), lr=1e-2, fused=True)

    whole, adam = begin()
    cut, first = begin()
    for seed in range(4):
        step(whole, adam, seed)
    for seed in range(2):
        step(cut, first, seed)
    second = torch.optim.Adam(cut.parameters(), lr=1e-2, fused=True)
    written = {k: v.contiguous() for k, v in checkpoint.optimizer_tensors("n", first).items()}
    checkpoint.restore_optimizer(second, "n", written)
    for seed in range(2, 4):
        step(cut, second, seed)
    assert all(map(torch.equal, whole.parameters(), cut.parameters()))


# Beyond its own size, a process may take as much as the first epoch needs and no more.
STARVED = """
import json, resource, sys
from pathlib import Path
import torch
from uvtex.config import resolve
from uvtex.data.store import PairStore
from uvtex.trainer import Trainer

folder, run = map(Path, sys.argv[1:3])
config = resolve(json.loads(sys.argv[3]))
store = PairStore.open(folder, config)
epochs = Trainer(config, store, run).epochs()
next(epochs)
size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + 2**22, size + 2**22))
store.train = store.train * 500
from uvtex.console import Group
import click
@click.group(cls=Group)
def main(): pass
@main.command()
def go(): next(epochs)
main(["go"])
"""


def test_memory_that_runs_out_is_named_and_the_last_checkpoint_kept(
    tiny_set: Path, tmp_path: Path
) -> None:
    config = {
        "image_size": 32,
        "width": 0.1,
        "batch_size": 3000,
        "val_split": 0.34,
        "device": "cpu",
        "thresholds": [{"metric": "ssim_uv", "at_least": 0.2}],
    }
    done = subprocess.run(
        [sys.executable, "-c", STARVED, str(tiny_set), str(tmp_path), json.dumps(config)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == (
        "error: out of memory on cpu while training in batches of 3000 at 32 x 32 pixels; lower "
        "--batch-size, --image-size or --width, or free memory that other programs hold\n"
    )
    assert done.returncode == 1
    _, header = checkpoint.read(tmp_path / "checkpoints/best_last.safetensors")
    assert header["epoch"] == 1
