"""The store: a data set on the training device.

Its files are decoded once. They are kept as bytes, split and batched on the device.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from uvtex.config import Augment, TrainConfig
from uvtex.data import manifest, splits
from uvtex.data.augment import augmented
from uvtex.data.batch import Batch
from uvtex.data.found_maps import check_held_out
from uvtex.data.recolour import recoloured
from uvtex.data.splits import Sides, Split
from uvtex.data.storage import fingerprints
from uvtex.data.storage.batching import batches
from uvtex.data.storage.buffers import Indices, MemoryBudget
from uvtex.data.storage.loaded_set import LoadedSet
from uvtex.data.storage.loading import file_table, load_set
from uvtex.data.storage.map_files import at_stiffness
from uvtex.data.storage.partners import Partners
from uvtex.data.storage.set_cameras import camera_bank_of
from uvtex.device import resolve_device
from uvtex.errors import DataError
from uvtex.imaging import seams
from uvtex.imaging.camera_bank import CameraBank
from uvtex.imaging.seams import Seams

PARTNER_KEYS: dict[Split, str] = {
    "train": "partner/train",
    "val": "partner/val",
    "test": "partner/test",
    "all": "partner/val",  # as ever: figures of `evaluate --all` stay
}
"""Keys of the draw of partners where a side is measured."""


class DataKey(NamedTuple):
    """The settings that :meth:`PairStore.open` reads. Equal keys give equal stores."""

    device: str
    image_size: int
    val_split: float
    split_by: str
    split_seed: int
    test_split: float

    @classmethod
    def of(cls, config: TrainConfig) -> DataKey:
        """The key of a run's settings."""
        return cls(*(getattr(config, name) for name in cls._fields))


@dataclass(frozen=True, eq=False)
class PairStore:
    """A data set on a device, split, at one size.

    Samples are records. A sample's partner is another view of the same livery on the same side of
    the split. Batches are a function of (seed, epoch): the same call gives the same batches. No
    training batch depends on the test side.

    A set with plates of the requested size is held as its plates and textures, and its views are
    composed on the device. Its memory grows with cameras plus liveries, not with cameras times
    liveries. Pictures that do not fit on the device are mapped from a file and read a batch ahead.
    """

    loaded: LoadedSet
    all_liveries: Sequence[str]
    """Each record's livery."""
    sides: Sides
    """The records that train, validate and test. If a set could not be split, all validate."""
    seams: Seams | None = None
    """The car's UV seams. None where the set does not list them."""
    taught: LoadedSet | None = None
    """The set with the UV maps to learn from; None: those of :attr:`loaded`, which all figures are
    measured by."""
    given_bank: CameraBank | None = None
    """The camera bank to use as :attr:`bank` in place of the set's own."""

    @classmethod
    def open(
        cls,
        folder: Path,
        config: TrainConfig,
        limit: int | None = None,
        unsplit: bool = False,
    ) -> PairStore:
        """Reads, resizes and splits the data set in ``folder``.

        Args:
            config: the run's settings. Only those of :class:`DataKey` are read.
            limit: bytes of the device's memory that pictures may take. Pictures beyond the limit
                are mapped from a file. None: half of the free memory.
            unsplit: a set that is too small for the split is no error, for those who measure on
                all of its records.

        Raises:
            DataError: the manifest or a file is missing or broken, the split is impossible, or the
                UV maps were found from liveries that are held out.
            UvtexError: the pictures fit neither in memory nor on the disk.
        """
        key = DataKey.of(config)
        device = resolve_device(key.device)
        # The records are freed after this line. Those of a large set take a gigabyte.
        files = file_table(manifest.read(folder).records)
        sides = _split(files.liveries, key, unsplit)
        if not unsplit:
            check_held_out(folder, files.liveries, sides)
        space = MemoryBudget(device, limit)
        loaded = load_set(folder, files, key.image_size, space, sides)
        covered = loaded.covered
        edges = None if covered is None else seams.read(folder, covered[0])
        return cls(loaded, files.liveries, sides, edges)

    @property
    def device(self) -> torch.device:
        """The training device."""
        return self.loaded.device

    @property
    def size(self) -> int:
        """Side of every picture, in pixels."""
        return self.loaded.size

    @property
    def train(self) -> Sequence[int]:
        """The records that train, ascending."""
        return self.sides.train

    @property
    def val(self) -> Sequence[int]:
        """The records that validate, ascending."""
        return self.sides.val

    @property
    def test(self) -> Sequence[int]:
        """The records of the test side, ascending; none unless ``test_split`` asks for them."""
        return self.sides.test

    @property
    def covered(self) -> Tensor | None:
        """Texels that some camera sees. See :attr:`LoadedSet.covered`."""
        return self.loaded.covered

    def taught_by(self, stiffness: float | None) -> PairStore:
        """The store whose training learns from the UV maps of this stiffness; None: the first.

        Raises:
            DataError: the set has no UV maps of this stiffness.
        """
        taught = None if stiffness is None else at_stiffness(self.loaded, stiffness)
        return self if taught is self.taught else replace(self, taught=taught)

    @cached_property
    def bank(self) -> CameraBank | None:
        """The set's camera bank, built at first use. See :func:`camera_bank_of`."""
        return self.given_bank or camera_bank_of(self.taught or self.loaded, self.train)

    @cached_property
    def partners(self) -> Partners:
        """The partner of each sample on its own side."""
        return Partners(self.all_liveries, self.sides)

    def fingerprint(self) -> str:
        """Digest of validation. See :func:`uvtex.data.storage.fingerprints.of_held_out`."""
        return fingerprints.of_held_out(self.loaded, self.val)

    def train_fingerprint(self) -> str:
        """Digest of the training side. See :func:`uvtex.data.storage.fingerprints.of_training`."""
        return fingerprints.of_training(self.loaded, self.train, self.partners)

    def test_fingerprint(self) -> str | None:
        """Digest of the test side; None without one."""
        return fingerprints.of_held_out(self.loaded, self.test) if self.test else None

    def fingerprints(self) -> dict[str, str | None]:
        """The digests of all sides, by the names that a checkpoint's header gives them."""
        return {
            "data_fingerprint": self.fingerprint(),
            "train_fingerprint": self.train_fingerprint(),
            "test_fingerprint": self.test_fingerprint(),
        }

    def train_masks(self, most: int = 64) -> np.ndarray:
        """Up to ``most`` distinct masks of the training side, bool [M, S, S]."""
        places = self.loaded.places(self.train, "mask")
        chosen = places[:: -(-len(places) // most)]
        grey = self.loaded.masks.take(Indices(chosen, chosen.to(self.device)))
        return grey[:, 0].cpu().numpy() > 127

    def train_batches(
        self,
        batch_size: int,
        seed: int,
        epoch: int,
        augment: Augment | None = None,
        views: int = 1,
    ) -> Iterator[Batch]:
        """The epoch's batches: every training sample once, shuffled.

        The last batch may be smaller.

        Args:
            augment: strengths of the augmentation, which is a function of (seed, epoch, step).
                None: no augmentation. Only sets with plates can recolour liveries.
            views: each step draws a number from 1 to ``views``, and has so many further views less
                one of each livery.
        """
        order = list(self.train)
        random.Random(f"order/{seed}/{epoch}").shuffle(order)
        plates, unpainted = self.loaded.plates, self.loaded.unpainted
        cameras = self.loaded.plates_are_cameras  # otherwise no view can be recoloured
        draw = random.Random(f"views/{seed}/{epoch}")
        more = [draw.randrange(views) for _ in range(self.steps(batch_size))]
        key = f"partner/{seed}/{epoch}"
        pairs = self._pairs(self.taught or self.loaded, order, self.partners, batch_size, key, more)
        for step, batch in enumerate(pairs):
            if augment is None:
                yield batch
                continue
            if plates is not None and unpainted is not None and cameras and augment.livery:
                key = f"livery/{seed}/{epoch}/{step}"
                batch = recoloured(batch, plates, unpainted, augment.livery, key)
            yield augmented(batch, augment, f"augment/{seed}/{epoch}/{step}")

    def batches(self, split: Split, batch_size: int) -> Iterator[Batch]:
        """Every sample of a side once, in order, always with the same partners.

        With ``all``, a sample's partner may be on another side.
        """
        partners, side = self.partners, self.sides.of(split)
        if split == "all":
            partners = Partners(self.all_liveries, [side])
        return self._pairs(self.loaded, side, partners, batch_size, PARTNER_KEYS[split])

    def steps(self, batch_size: int) -> int:
        """Number of training batches in an epoch."""
        return -(-len(self.train) // batch_size)

    def liveries(self, samples: Sequence[int]) -> list[str]:
        """The liveries of ``samples``."""
        return [self.all_liveries[i] for i in samples]

    def _pairs(
        self,
        loaded: LoadedSet,
        order: Sequence[int],
        partners: Partners,
        batch_size: int,
        key: str,
        more: Sequence[int] = (),
    ) -> Iterator[Batch]:
        drawn = [partners.draw(i, key) for i in order]
        pairs = torch.tensor([list(order), drawn])
        most = max(more, default=0)
        if not most:
            return batches(loaded, pairs, batch_size)
        each = zip(order, drawn, strict=True)
        further = torch.tensor([partners.more(i, b, most, key) for i, b in each])
        return batches(loaded, torch.cat([pairs, further.T]), batch_size, more)


def _split(liveries: Sequence[str], key: DataKey, unsplit: bool) -> Sides:
    try:
        return splits.split(liveries, key.split_by, key.val_split, key.split_seed, key.test_split)
    except DataError:
        if not unsplit:
            raise
        return Sides([], list(range(len(liveries))), [])
