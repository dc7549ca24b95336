"""The fast paths of a training step against readable ones: values, gradients and buffers."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from uvtex.data.batch import Pair
from uvtex.models import ConvRenderer, UNet
from uvtex.models.base import Predictor
from uvtex.models.forward import Outputs, forward
from uvtex.runs import checkpoint
from uvtex.training.losses import terms, total

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
    # A bias before BatchNorm has no gradient, only rounding errors. They grow as the values of a
    # channel become more alike, and in one small picture the values are very much alike.
    torch.testing.assert_close(
        stepped(forward, both[0], pair), stepped(one_by_one, both[1], pair), atol=1e-6, rtol=1e-6
    )


def test_naive_batching_of_the_passes_gives_other_values() -> None:
    """The comparison above can fail: this is what naive batching does."""

    class Naive(Predictor):
        normalises_over_batch = True

        def __init__(self, network: nn.Module) -> None:
            super().__init__()
            self.network = network

        def predict_separately(self, *views: Tensor) -> tuple[Tensor, ...]:
            return self.network(torch.cat(views)).chunk(len(views))

    pair = random_pair(0, 2, 32)
    predictor, renderer = networks(0, 0.1)
    expected = forward(predictor, renderer, pair)
    naive = forward(Naive(predictor), renderer, pair)
    assert not torch.allclose(expected.texture_a, naive.texture_a, atol=1e-3)


def test_a_restored_optimiser_equals_an_uninterrupted_one() -> None:
    """A fused Adam whose state has another memory layout than its parameter is silently wrong."""

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


# After its first epoch the process may allocate 4 MiB more and no more than that.
STARVED = """
import json, resource, sys
from dataclasses import replace
from pathlib import Path
import torch
from uvtex.config import resolve
from uvtex.data.store import PairStore
from uvtex.training.trainer import Trainer

folder, run = map(Path, sys.argv[1:3])
config = resolve(json.loads(sys.argv[3]))
store = PairStore.open(folder, config)
trainer = Trainer(config, store, run)
epochs = trainer.epochs()
next(epochs)
size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + 2**22, size + 2**22))
trainer.data = replace(store, sides=store.sides._replace(train=store.train * 500))
from uvtex.console import CleanErrorGroup
import click
@click.group(cls=CleanErrorGroup)
def main(): pass
@main.command()
def go(): next(epochs)
main(["go"])
"""


def test_an_out_of_memory_error_is_clear_and_keeps_the_last_checkpoint(
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
    assert header.epoch == 1
