"""The rival of benchmarks/train.py: training as a plain script does it.

One sample's files at a time, opened, resized and masked with Pillow; six separate passes; float32;
the default memory layout; a plain Adam for each network; every step's loss read with `.item()`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader

from benchmarks.pair_store import Plain
from uvtex.config import TrainConfig
from uvtex.data import manifest, splits
from uvtex.data.batch import Pair
from uvtex.models.forward import Outputs
from uvtex.models.poc05.networks import ConvRenderer, UNet
from uvtex.training.losses import terms, total
from uvtex.training.schedule import weights


def separate(predictor: nn.Module, renderer: nn.Module, pair: Pair) -> Outputs:
    """The six passes, one by one."""
    texture_a, texture_b = predictor(pair.a), predictor(pair.b)
    view_a, view_b = renderer(texture_a), renderer(texture_b)
    view_true = renderer(pair.texture)
    last = (predictor(view_true), None, None)
    return Outputs(texture_a, texture_b, view_a, view_b, view_true, view_true, *last)


class Reference:
    """The loop; its networks, weights and learning rate are preset poc05's at width 1."""

    def __init__(self, folder: Path, config: TrainConfig, workers: int = 0) -> None:
        liveries = [record.livery for record in manifest.read(folder).records]
        shares = (config.val_split, config.split_seed, config.test_split)
        train = splits.split(liveries, config.split_by, *shares).train
        samples = Plain(folder, config.image_size, train)
        self._loader = DataLoader(samples, config.batch_size, shuffle=True, num_workers=workers)
        self._batches = self._forever()
        self._device = torch.device(config.device)
        torch.manual_seed(config.seed)
        self.predictor, self.renderer = (n.to(self._device) for n in (UNet(), ConvRenderer()))
        self._optimizers = [
            torch.optim.Adam(n.parameters(), lr=config.lr, betas=(config.beta1, config.beta2))
            for n in (self.predictor, self.renderer)
        ]
        self._weights = weights(config.schedule, 1, config.epochs)

    def step(self) -> tuple[int, float]:
        """One training step: how many samples, and the loss."""
        a, b, texture, mask_a, mask_b = (x.to(self._device) for x in next(self._batches))
        pair = Pair(a * 2 - 1, b * 2 - 1, texture, mask_a, mask_b)
        out = separate(self.predictor, self.renderer, pair)
        loss = total(terms(pair, out), self._weights)
        for optimizer in self._optimizers:
            optimizer.zero_grad()
        loss.backward()
        for optimizer in self._optimizers:
            optimizer.step()
        return len(a), loss.item()

    def _forever(self) -> Iterator[list[torch.Tensor]]:
        while True:
            yield from self._loader
