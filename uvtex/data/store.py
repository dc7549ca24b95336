"""Every picture of a data set decoded once, kept as bytes on the training device."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from uvtex.config import TrainConfig
from uvtex.data import flow as flows
from uvtex.data import manifest, pictures, splits
from uvtex.device import resolve_device
from uvtex.errors import DataError
from uvtex.losses import Pair


@dataclass(frozen=True)
class Batch:
    """Images of a batch, and its flows where the set's UV maps are known."""

    pair: Pair
    flow_a: Tensor | None  # [B, 2, S, S] in [-1, 1]
    seen_a: Tensor | None  # [B, 1, S, S] in {0, 1}: texels that view a sees
    flow_b: Tensor | None
    seen_b: Tensor | None


class PairStore:
    """A data set on a device, split, at one size.

    Samples are records; a sample's partner is another view of the same livery on the same side of
    the split. Batches are a function of (seed, epoch): the same call gives the same batches.
    """

    def __init__(
        self,
        liveries: list[str],
        views: Tensor,  # uint8 [N, 3, S, S]
        textures: Tensor,  # uint8 [L, 3, S, S]
        masks: Tensor,  # uint8 [M, 1, S, S]
        bank: tuple[Tensor, Tensor] | None,  # float [K, 2, S, S], bool [K, 1, S, S]
        index: Tensor,  # int64 [N, 3]: texture, mask, bank entry
        sides: tuple[list[int], list[int]],
    ) -> None:
        self._liveries = liveries
        self._views, self._textures, self._masks = views, textures, masks
        self._index = index
        self.bank = bank
        """Flow and seen texels of every camera, where the set's UV maps are known."""
        self.train, self.val = sides
        self.device = views.device
        self._mates = self._group()

    @classmethod
    def open(cls, folder: Path, config: TrainConfig) -> PairStore:
        """Reads, resizes and splits the data set in ``folder``.

        Raises:
            DataError: the manifest or a file is missing or broken, or the split is impossible.
        """
        records = manifest.read(folder).records
        size, device = config.image_size, resolve_device(config.device)
        views = _stack([pictures.read_rgb(folder / r.view, size) for r in records])
        names, texture_of = _unique([r.texture for r in records])
        textures = _stack([pictures.read_rgb(folder / str(name), size) for name in names])
        mask_names, mask_of = _unique([r.mask for r in records])
        masks = _stack([_read_mask(folder, name, size) for name in mask_names])
        bank, bank_of = _read_bank(folder, [r.uv_map for r in records], size)
        index = torch.tensor(list(zip(texture_of, mask_of, bank_of, strict=True)))
        liveries = [r.livery for r in records]
        sides = splits.split(liveries, config.split_by, config.val_split, config.split_seed)
        return cls(
            liveries,
            views.to(device),
            textures.to(device),
            masks.to(device),
            None if bank is None else (bank[0].to(device), bank[1].to(device)),
            index.to(device),
            sides,
        )

    @property
    def size(self) -> int:
        """Side of every picture, in pixels."""
        return self._views.shape[-1]

    def fingerprint(self) -> str:
        """Digest of the validation side's pixels: figures of two runs compare if it is equal."""
        digest = hashlib.sha256()
        val = torch.tensor(self.val, device=self.device)
        for tensor in (self._views[val], self._textures[self._index[val, 0]]):
            digest.update(tensor.cpu().numpy().tobytes())
        return digest.hexdigest()[:16]

    def train_batches(self, batch_size: int, seed: int, epoch: int) -> Iterator[Batch]:
        """The epoch's batches: every training sample once, shuffled; the last may be smaller."""
        order = list(self.train)
        random.Random(f"order/{seed}/{epoch}").shuffle(order)
        yield from self._batches(order, batch_size, f"partner/{seed}/{epoch}")

    def val_batches(self, batch_size: int) -> Iterator[Batch]:
        """Every validation sample once, in order, always with the same partners."""
        yield from self._batches(self.val, batch_size, "partner/val")

    def steps(self, batch_size: int) -> int:
        """Training batches an epoch."""
        return -(-len(self.train) // batch_size)

    def liveries(self, indices: list[int]) -> list[str]:
        """The liveries of some samples."""
        return [self._liveries[i] for i in indices]

    def _batches(self, order: list[int], batch_size: int, key: str) -> Iterator[Batch]:
        partners = [self._partner(i, key) for i in order]
        # One transfer an epoch, not one a step.
        both = torch.tensor([order, partners], device=self.device)
        for start in range(0, len(order), batch_size):
            a, b = both[:, start : start + batch_size]
            yield self._assemble(a, b)

    def _assemble(self, a: Tensor, b: Tensor) -> Batch:
        at, bt = self._index[a], self._index[b]
        pair = Pair(
            a=_floats(self._views[a]),
            b=_floats(self._views[b]),
            texture=_floats(self._textures[at[:, 0]]),
            mask_a=self._masks[at[:, 1]].float() / 255,
            mask_b=self._masks[bt[:, 1]].float() / 255,
        )
        if self.bank is None:
            return Batch(pair, None, None, None, None)
        flow, seen = self.bank
        return Batch(
            pair, flow[at[:, 2]], seen[at[:, 2]].float(), flow[bt[:, 2]], seen[bt[:, 2]].float()
        )

    def _partner(self, sample: int, key: str) -> int:
        mates = self._mates[sample]
        if len(mates) == 1:
            return sample
        choice = random.Random(f"{key}/{sample}").randrange(len(mates) - 1)
        mate = mates[choice]
        return mates[-1] if mate == sample else mate

    def _group(self) -> dict[int, list[int]]:
        groups: dict[tuple[bool, str], list[int]] = {}
        val = set(self.val)
        for i, livery in enumerate(self._liveries):
            groups.setdefault((i in val, livery), []).append(i)
        return {i: group for group in groups.values() for i in group}


def _floats(pixels: Tensor) -> Tensor:
    return pixels.float() / 127.5 - 1


def _stack(images: list[np.ndarray]) -> Tensor:
    stacked = torch.from_numpy(np.stack(images))
    return (stacked.unsqueeze(1) if stacked.ndim == 3 else stacked.permute(0, 3, 1, 2)).contiguous()


def _unique(names: Sequence[str | None]) -> tuple[list[str | None], list[int]]:
    order = list(dict.fromkeys(names))
    place = {name: i for i, name in enumerate(order)}
    return order, [place[name] for name in names]


def _read_mask(folder: Path, name: str | None, size: int) -> np.ndarray:
    if name is None:
        raise DataError(
            f"{folder}/manifest.json: a record has no `mask`; every view needs one "
            "(255 where paint is seen)"
        )
    return pictures.read_grey(folder / name, size)


def _read_bank(
    folder: Path, names: list[str | None], size: int
) -> tuple[tuple[Tensor, Tensor] | None, list[int]]:
    if any(name is None for name in names):
        return None, [0] * len(names)
    order, place = _unique(names)
    inverted = [flows.invert(flows.read_uv_map(folder / str(name)), size) for name in order]
    flow = torch.from_numpy(np.stack([f for f, _ in inverted]))
    seen = torch.from_numpy(np.stack([s for _, s in inverted])).unsqueeze(1)
    return (flow, seen), place
