"""A data set's pictures decoded once, kept as bytes on the training device, and batched there."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from uvtex.config import Augment, TrainConfig
from uvtex.data import digests, manifest, splits
from uvtex.data.augment import augmented
from uvtex.data.batch import Batch, Pair
from uvtex.data.buffers import Indices, MemoryBudget, prefetch
from uvtex.data.loading import COLUMNS, LoadedSet, Maps, file_table, load_set, train_textures
from uvtex.data.recolour import recoloured
from uvtex.device import resolve_device
from uvtex.errors import DataError
from uvtex.imaging import camera_bank as banks
from uvtex.imaging import light_fit, seams
from uvtex.imaging.camera_bank import CameraBank
from uvtex.imaging.compose import linear_from_srgb
from uvtex.imaging.seams import Seams

CHUNK = 64
"""Views digested at once."""
MOST_CAMERAS = 256
"""That preset atlas tells apart. Where every photo has a map of its own, none is shown often enough
to be learnt, and what a bank holds of each takes 10 MB at 256 pixels."""
LIGHT_CHUNK = 32
"""Views that lights are fitted to at once."""


@dataclass(frozen=True)
class IndexRows:
    """Where the parts of some samples are: int64 [..., 5] by COLUMNS, on both sides."""

    host: Tensor
    device: Tensor

    def part(self, name: str) -> Indices:
        """One column."""
        column = COLUMNS.index(name)
        return Indices(self.host[..., column], self.device[..., column])


@dataclass(frozen=True)
class RawBatch:
    """A batch's bytes, pinned or on the device, and where its flows are."""

    a: Tensor  # uint8 [B, 3, S, S]
    b: Tensor
    texture: Tensor
    mask_a: Tensor  # uint8 [B, 1, S, S]
    mask_b: Tensor
    map_a: Indices
    map_b: Indices


class DataKey(NamedTuple):
    """The settings that :meth:`PairStore.open` reads. One folder and one key make one store."""

    device: str
    image_size: int
    val_split: float
    split_by: str
    split_seed: int

    @classmethod
    def of(cls, config: TrainConfig) -> DataKey:
        return cls(*(getattr(config, name) for name in cls._fields))


class PairStore:
    """A data set on a device, split, at one size.

    Samples are records; a sample's partner is another view of the same livery on the same side of
    the split. Batches are a function of (seed, epoch): the same call gives the same batches.

    A set with plates of the size that is asked for is held as its plates and textures, and its
    views are composed on the device; so it takes memory for cameras plus liveries, not for
    cameras times liveries. What does not fit on the device is mapped from a file, and fetched a
    batch ahead.
    """

    def __init__(
        self,
        liveries: list[str],
        contents: LoadedSet,
        sides: tuple[list[int], list[int]],
        device: torch.device,
    ) -> None:
        self._liveries, self._contents = liveries, contents
        self.seams: Seams | None = None
        """The car's, where the set says where they are."""
        self.train, self.val = sides
        self._held_out = sides[1]
        self.device = device
        self._mates = self._group()

    @classmethod
    def open(
        cls,
        folder: Path,
        config: TrainConfig,
        limit: int | None = None,
        everything: bool = False,
    ) -> PairStore:
        """Reads, resizes and splits the data set in ``folder``.

        Args:
            limit: bytes of the device's memory that pictures may take, those beyond it are mapped
                from a file; None: half of what is free.
            everything: every record validates and none trains; the set may be of one livery then.

        Raises:
            DataError: the manifest or a file is missing or broken, or the split is impossible.
            UvtexError: the pictures fit neither in memory nor on the disk.
        """
        device = resolve_device(config.device)
        # Nothing holds the records beyond this line: those of a large set take a gigabyte.
        files = file_table(manifest.read(folder).records)
        sides = cls._sides(files.liveries, config, everything)
        contents = load_set(folder, files, config.image_size, MemoryBudget(device, limit), sides[1])
        store = cls(files.liveries, contents, sides, device)
        if everything:
            store.train, store.val = [], list(range(len(files.liveries)))
            store._mates = store._group()
        if store.covered is not None:
            store.seams = seams.read(folder, store.covered[0])
        return store

    @staticmethod
    def _sides(
        liveries: list[str], config: TrainConfig, everything: bool
    ) -> tuple[list[int], list[int]]:
        try:
            return splits.split(liveries, config.split_by, config.val_split, config.split_seed)
        except DataError:
            if not everything:
                raise
            return [], list(range(len(liveries)))

    @cached_property
    def bank(self) -> CameraBank | None:
        """What the set says of its cameras, where all UV maps are known; made when asked for.

        Which texels lend to which is read off the training side alone, and of photos the cameras
        are those of the training side.

        Raises:
            DataError: there are more than MOST_CAMERAS.
        """
        maps = self._contents.maps
        if maps is None:
            return None
        if self._contents.plates is None:
            maps = maps.first(len(self._contents.index[self.train, COLUMNS.index("map")].unique()))  # type: ignore[no-untyped-call]
        if len(maps.flow) > MOST_CAMERAS:
            raise DataError(
                f"the training views have {len(maps.flow)} different UV maps, and preset atlas "
                f"tells up to {MOST_CAMERAS} cameras apart; give views from one place the same "
                "UV map, or leave `uv_map` out of every record of manifest.json to learn from the "
                "pairs alone, or take preset poc05"
            )
        chosen = train_textures(self._contents.index, self.train)
        places = Indices(chosen, chosen.to(self.device))
        liveries = self._contents.textures.take(places).to(self.device)
        return banks.build_camera_bank(
            maps.flow, maps.seen, maps.paint, *self._lights(maps), liveries
        )

    @property
    def _plates_are_cameras(self) -> bool:
        """There is a plate for each UV map, and both are numbered alike."""
        index = self._contents.index
        return self._contents.plates is not None and bool((index[:, 3] == index[:, 4]).all())

    def _lights(self, maps: Maps) -> tuple[Tensor, Tensor]:
        """Falling and reflected light [K, 3, S, S] of the cameras of ``maps``."""
        plates = self._contents.plates
        if plates is not None and self._plates_are_cameras:
            falling, reflected = (
                x.float().permute(0, 3, 1, 2) for x in (plates.falling, plates.reflected)
            )
            return falling, reflected
        return light_fit.fit_lights(self._shown(maps), len(maps.flow), self.size)

    def _shown(self, maps: Maps) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """What the training views show: camera, linear albedo, and view in [0, 1], in batches."""
        for rows in self._chunks(self._rows(torch.tensor(self.train)), LIGHT_CHUNK):
            texture = self._contents.textures.take(rows.part("texture")).to(self.device)
            view = self._views(rows).to(self.device)
            camera = rows.part("map").device
            paint = linear_from_srgb(texture.float() / 255)
            at = banks.aim(maps.paint[camera], self.size, self.size)
            yield camera, banks.project(paint, at), view.float() / 255

    @property
    def size(self) -> int:
        """Side of every picture, in pixels."""
        return self._contents.views.size

    @property
    def covered(self) -> Tensor | None:
        """Texels that some camera sees, bool [1, S, S], where the set's UV maps are known."""
        maps = self._contents.maps
        return None if maps is None else maps.seen.any(dim=0)

    def fingerprint(self) -> str:
        """Digest of what the split holds out: figures of two runs compare if it is equal.

        It is of all that a figure is made from: views (where they are composed, their textures
        and plates), textures, masks, where texels are seen, and which texels any camera sees.
        """
        covered = [] if self.covered is None else [self.covered.cpu().numpy()]
        return digests.joined(self._tables(self._held_out), *covered)

    def train_fingerprint(self) -> str:
        """Digest of what training sees: a run goes on as it began if both digests are equal.

        It is of the same parts as :meth:`fingerprint`, and of which records may be partners.
        """
        firsts = np.array([(i, self._mates[i][0]) for i in self.train], np.int64)
        return digests.joined(self._tables(self.train), firsts)

    def _tables(self, samples: list[int]) -> list[digests.Table]:
        """Digests of each part of each of ``samples``."""
        contents = self._contents
        rows = self._rows(torch.tensor(samples, dtype=torch.int64))
        places = {name: rows.part(name).host for name in COLUMNS}
        tables = [digests.of_stack(contents.masks, places["mask"])]
        if contents.maps is not None:
            maps = digests.each(contents.maps.flow, contents.maps.seen, contents.maps.paint)
            tables.append(maps[places["map"].numpy()])
        if contents.plates is not None and contents.paints is not None:
            plates = digests.each(*contents.plates.parts)
            return [
                *tables,
                contents.paints[places["texture"].numpy()],
                plates[places["plate"].numpy()],
            ]
        views = [digests.each(self._views(chunk)) for chunk in self._chunks(rows, CHUNK)]
        textures = digests.of_stack(contents.textures, places["texture"])
        return [*tables, textures, *views]

    def train_masks(self, most: int = 64) -> np.ndarray:
        """Up to ``most`` of the training side's different masks, bool [M, S, S]."""
        column = COLUMNS.index("mask")
        places = self._contents.index[self.train][:, column].unique()  # type: ignore[no-untyped-call]
        chosen = places[:: -(-len(places) // most)]
        grey = self._contents.masks.take(Indices(chosen, chosen.to(self.device)))
        return grey[:, 0].cpu().numpy() > 127

    def train_batches(
        self, batch_size: int, seed: int, epoch: int, augment: Augment | None = None
    ) -> Iterator[Batch]:
        """The epoch's batches: every training sample once, shuffled; the last may be smaller.

        Args:
            augment: how far views are changed, by (seed, epoch, step); None: not at all. Liveries
                get other colours where plates say how the car then looks.
        """
        order = list(self.train)
        random.Random(f"order/{seed}/{epoch}").shuffle(order)
        batches = self._batches(order, batch_size, f"partner/{seed}/{epoch}")
        plates, kept = self._contents.plates, self._contents.kept
        cameras = self._plates_are_cameras  # else no view can be recoloured
        for step, batch in enumerate(batches):
            if augment is None:
                yield batch
                continue
            if plates is not None and kept is not None and cameras and augment.livery:
                key = f"livery/{seed}/{epoch}/{step}"
                batch = recoloured(batch, plates, kept, augment.livery, key)
            yield augmented(batch, augment, f"augment/{seed}/{epoch}/{step}")

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
        both = self._rows(torch.tensor([order, partners]))
        gathered = map(self._gather, self._chunks(both, batch_size))
        contents = self._contents
        if any(part.mapped for part in (contents.views, contents.textures, contents.masks)):
            yield from map(self._assemble, prefetch(gathered))
        else:
            yield from map(self._assemble, gathered)

    def _rows(self, samples: Tensor) -> IndexRows:
        # One transfer an epoch, not one a step.
        rows = self._contents.index[samples]
        return IndexRows(rows, rows.to(self.device))

    @staticmethod
    def _chunks(rows: IndexRows, size: int) -> Iterator[IndexRows]:
        """Along the last dimension but that of the columns."""
        for start in range(0, rows.host.shape[-2], size):
            part = (..., slice(start, start + size), slice(None))
            yield IndexRows(rows.host[part], rows.device[part])

    def _gather(self, both: IndexRows) -> RawBatch:
        a, b = (IndexRows(both.host[side], both.device[side]) for side in (0, 1))
        masks = self._contents.masks
        return RawBatch(
            a=self._views(a),
            b=self._views(b),
            texture=self._contents.textures.take(a.part("texture")),
            mask_a=masks.take(a.part("mask")),
            mask_b=masks.take(b.part("mask")),
            map_a=a.part("map"),
            map_b=b.part("map"),
        )

    def _views(self, rows: IndexRows) -> Tensor:
        return self._contents.views.take(*(rows.part(n) for n in ("view", "texture", "plate")))

    def _assemble(self, raw: RawBatch) -> Batch:
        pair = Pair(
            a=self._floats(raw.a),
            b=self._floats(raw.b),
            texture=self._floats(raw.texture),
            mask_a=self._shares(raw.mask_a),
            mask_b=self._shares(raw.mask_b),
        )
        if self._contents.maps is None:
            return Batch(pair, None, None, None, None, None, None)
        flow, seen = self._contents.maps.flow, self._contents.maps.seen
        flow_a, flow_b = (flow.index_select(0, m.device) for m in (raw.map_a, raw.map_b))
        seen_a, seen_b = (seen.index_select(0, m.device).float() for m in (raw.map_a, raw.map_b))
        return Batch(pair, flow_a, seen_a, flow_b, seen_b, raw.map_a.device, raw.map_b.device)

    def _floats(self, pixels: Tensor) -> Tensor:
        return pixels.to(self.device, non_blocking=True).float().div_(127.5).sub_(1)

    def _shares(self, pixels: Tensor) -> Tensor:
        return pixels.to(self.device, non_blocking=True).float().div_(255)

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
