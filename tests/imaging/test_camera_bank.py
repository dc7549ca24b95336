"""The camera bank: the flows of cameras, their lights, and the donors of texels."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.models.small_atlas import SIZE, config
from tests.sets import make_set, paint, shoot, uv_map
from uvtex.data.storage import set_cameras
from uvtex.data.store import PairStore
from uvtex.errors import DataError
from uvtex.imaging import camera_bank as banks
from uvtex.imaging import light_fit
from uvtex.imaging.compose import linear_from_srgb, sample
from uvtex.models.correspondence import AtlasPredictor
from uvtex.training.trainer import Trainer

OPTIONAL = {"trust", "fine", "fine_painted", "fine_light", "fine_paint"}
"""Fields of a bank that are None for exact maps and views as small as the networks'."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_set(tmp_path_factory.mktemp("atlas") / "set", liveries=9, cameras=3, size=SIZE)


@pytest.fixture(scope="module")
def store(data: Path) -> PairStore:
    return PairStore.open(data, config())


@given(camera=st.integers(0, 3), factor=st.integers(1, 4), texels=st.sampled_from([8, 16, 31]))
@settings(max_examples=25, deadline=None)
def test_project_equals_the_sampling_of_compose(camera: int, factor: int, texels: int) -> None:
    uv = uv_map(camera, 4, 16 * factor)
    texture = torch.rand(2, 3, texels, texels, generator=torch.Generator().manual_seed(camera))
    coded = torch.from_numpy(banks.encode(uv)).expand(2, -1, -1, -1)
    slow = sample(texture, torch.from_numpy(uv).float(), (16, 16))
    fast = banks.project(texture, banks.aim(coded, 16, texels))
    torch.testing.assert_close(fast, slow, atol=2e-3, rtol=0)


def test_count_hits_counts_the_samples_of_each_texel() -> None:
    uv = np.full((4, 4, 2), np.nan)
    uv[0, :3] = (0.1, 0.9)  # three samples of the texel in the first row and column
    uv[3, 3] = (0.9, 0.1)
    hits = banks.count_hits(torch.from_numpy(banks.encode(uv)), 4)
    expected = torch.zeros(1, 4, 4)
    expected[0, 0, 0], expected[0, 3, 3] = 3, 1
    assert torch.equal(hits, expected)


def test_the_donor_of_an_unseen_texel_is_a_seen_texel_with_the_same_paint() -> None:
    half = torch.randint(0, 256, (12, 3, 8, 4), generator=torch.Generator().manual_seed(0))
    liveries = torch.cat([half, half.flip(3)], dim=3).to(torch.uint8)  # left and right mirrored
    usable = torch.zeros(1, 1, 8, 8, dtype=torch.bool)
    usable[..., :4] = True
    donor, share, distance = banks.find_donors(liveries, usable)
    mirrored = (torch.arange(64).view(8, 8) // 8) * 8 + 7 - torch.arange(8)
    assert torch.equal(donor[0, 0, :, 4:].long(), mirrored[:, 4:])
    assert (share[0, 0, :, 4:] > 0.9).all()
    assert (distance[0, 0, :, 4:] < 0.05).all()
    assert usable[0, 0].flatten()[donor.flatten().long()].all(), "only seen texels may be donors"


def test_a_texel_is_never_its_own_donor() -> None:
    liveries = torch.randint(0, 256, (3, 3, 4, 4)).to(torch.uint8)
    donor, _, _ = banks.find_donors(liveries, torch.ones(2, 1, 4, 4, dtype=torch.bool))
    own = torch.arange(16).view(4, 4)
    assert (donor != own).all()


@pytest.mark.parametrize("count", [0, 1, 3, banks.DONORS])
def test_with_few_usable_texels_only_those_are_donors(count: int) -> None:
    liveries = torch.randint(0, 256, (3, 3, 4, 4)).to(torch.uint8)
    usable = (torch.arange(16) < count).view(1, 1, 4, 4)
    donor, share, distance = (x[0].flatten(1) for x in banks.find_donors(liveries, usable))
    is_donor = share > 0
    own = torch.arange(16)
    assert not (is_donor & (donor == own)).any(), "a texel is its own donor"
    assert usable.flatten()[donor[is_donor].long()].all(), "an unseen texel is a donor"
    others = count - usable.flatten().long()
    assert torch.equal(is_donor.sum(dim=0) > 0, others > 0)
    total = share.float().sum(dim=0)
    torch.testing.assert_close(total, (others > 0).float(), atol=2e-3, rtol=0)
    assert (distance[0, others == 0] == 1).all()
    assert (distance[0, others > 0] < 1).all()


def test_a_texel_without_donors_gets_the_mean_colour(store: PairStore) -> None:
    assert store.bank is not None
    alone = replace(store.bank, share=torch.zeros_like(store.bank.share))
    predictor = AtlasPredictor(alone, 0.15)
    view = next(store.batches("val", 2)).pair.a
    with torch.no_grad():
        texture, estimate = predictor.predict(view)
    unseen = ~alone.seen[estimate.camera]
    for image, hidden in zip(texture, unseen, strict=True):
        colours = image[:, hidden[0]]
        torch.testing.assert_close(colours, colours[:, :1].expand_as(colours), atol=1e-5, rtol=0)
        assert (colours.abs() > 0.01).any(), "no livery has a mean of mid grey"


@pytest.mark.parametrize("rows", [1, 40])
def test_the_chunk_size_changes_no_donor(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = torch.Generator().manual_seed(0)
    liveries = torch.randint(0, 256, (5, 3, 8, 8), generator=draw).to(torch.uint8)
    usable = torch.rand(2, 1, 8, 8, generator=draw) < 0.6
    whole = banks.find_donors(liveries, usable)
    monkeypatch.setattr(banks, "COMPARED", rows * 64)
    donor, share, distance = banks.find_donors(liveries, usable)
    assert torch.equal(donor, whole[0])
    torch.testing.assert_close((share, distance), whole[1:], atol=1e-3, rtol=1e-3)


def test_lights_are_fitted_to_pictures_of_several_liveries() -> None:
    draw = torch.Generator().manual_seed(1)
    falling = torch.rand(2, 3, 6, 6, generator=draw) * 0.6 + 0.1
    reflected = torch.rand(2, 3, 6, 6, generator=draw) * 0.1
    camera = torch.tensor([0, 1] * 20)
    albedo = torch.rand(40, 3, 6, 6, generator=draw)
    light = falling[camera] * albedo + reflected[camera]
    view = torch.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    found = light_fit.fit_lights(
        [(camera[i:][:7], albedo[i:][:7], view[i:][:7]) for i in range(0, 40, 7)], 2
    )
    torch.testing.assert_close(found[0], falling, atol=0.01, rtol=0)
    torch.testing.assert_close(found[1], reflected, atol=0.01, rtol=0)


def test_saturated_views_do_not_make_the_light_too_dim() -> None:
    draw = torch.Generator().manual_seed(1)
    albedo = torch.rand(40, 3, 6, 6, generator=draw)
    light = (1.6 * albedo + 0.02).clamp(0, 1)
    view = torch.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    samples = [(torch.zeros(40).long(), albedo, view)]
    dim, _ = light_fit.fit_lights(samples, 1)
    falling, reflected = light_fit.fit_lights(samples, 1, saturated=0.98)
    assert dim.max() < 1.4
    torch.testing.assert_close(falling, torch.full_like(falling, 1.6), atol=0.03, rtol=0)
    torch.testing.assert_close(reflected, torch.full_like(reflected, 0.02), atol=0.01, rtol=0)


def test_validation_liveries_do_not_change_the_camera_bank(data: Path, store: PairStore) -> None:
    held_out_liveries = {name for i in store.val for name in store.liveries([i])}
    records = json.loads((data / "manifest.json").read_text())["records"]
    held_out = [record for record in records if record["livery"] in held_out_liveries]
    files = {data / record[key] for record in held_out for key in ("texture", "view")}
    before = store.bank
    originals = {file: file.read_bytes() for file in files}
    try:
        from PIL import Image

        for file in files:  # textures and views, because lights are fitted to views
            Image.new("RGB", (SIZE, SIZE), "red").save(file)
        after = PairStore.open(data, config()).bank
    finally:
        for file, content in originals.items():
            file.write_bytes(content)
    assert before is not None
    assert after is not None
    assert before.fine is None  # the views are no larger than the networks'
    for name in (field.name for field in fields(before) if field.name not in OPTIONAL):
        assert torch.equal(getattr(before, name), getattr(after, name)), name


def photos(data: Path, folder: Path, map_of: Callable[[int], str]) -> Path:
    """The set with its own UV map file for each photo, a copy of the file that ``map_of`` names."""
    shutil.copytree(data, folder)
    values = json.loads((folder / "manifest.json").read_text())
    for number, record in enumerate(values["records"]):
        source = folder / map_of(number).format(record["uv_map"])
        record["uv_map"] = f"uv_maps/photo{number}.npz"
        if source.is_file():
            shutil.copy(source, folder / record["uv_map"])
        else:
            uv = uv_map(number, len(values["records"]), SIZE)
            np.savez(folder / record["uv_map"], uv=uv.astype(np.float32))
    (folder / "manifest.json").write_text(json.dumps(values))
    return folder


def test_photos_with_equal_uv_maps_belong_to_one_camera(
    data: Path, store: PairStore, tmp_path: Path
) -> None:
    copies = PairStore.open(photos(data, tmp_path / "copies", lambda _: "{}"), config())
    assert store.bank is not None
    assert copies.bank is not None
    for name in (field.name for field in fields(store.bank) if field.name not in OPTIONAL):
        assert torch.equal(getattr(copies.bank, name), getattr(store.bank, name))
    mine, theirs = (next(s.batches("val", 6)).camera_a for s in (copies, store))
    assert mine is not None
    assert theirs is not None
    assert torch.equal(mine, theirs)


def test_cameras_of_validation_views_alone_are_not_in_the_bank(data: Path, tmp_path: Path) -> None:
    own = PairStore.open(photos(data, tmp_path / "own", lambda _: "none"), config())
    assert own.bank is not None
    assert len(own.bank.flow) == len(own.train)
    for batch in own.train_batches(5, 0, 1):
        assert batch.camera_a is not None
        assert torch.equal(own.bank.flow[batch.camera_a], batch.flow_a)
    trainer = Trainer(config(epochs=1), own, tmp_path / "run")
    assert next(iter(trainer.epochs())).val["ssim_uv"] > 0


def test_too_many_cameras_are_refused(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(set_cameras, "MOST_CAMERAS", 2)
    with pytest.raises(DataError, match=r"3 different UV maps.*up to 2 .*leave `uv_map` out"):
        Trainer(config(), PairStore.open(data, config()), tmp_path / "run")


def test_a_uv_map_may_have_any_size(tmp_path: Path) -> None:
    data = make_set(tmp_path / "set", liveries=4, cameras=2, size=SIZE)
    np.savez(data / "uv_maps/0.npz", uv=uv_map(0, 2, 50).astype(np.float32))
    bank = PairStore.open(data, config()).bank
    assert bank is not None
    assert bank.paint.shape[-1] % SIZE == 0
    texture = paint(np.random.default_rng(3), SIZE)
    linear = linear_from_srgb(torch.from_numpy(texture).permute(2, 0, 1)[None] / 255)
    projected = banks.project(linear, banks.aim(bank.paint[:1], SIZE, SIZE))
    view = torch.from_numpy(shoot(texture, uv_map(0, 2, SIZE))).permute(2, 0, 1) / 255
    seen = torch.from_numpy(np.isfinite(uv_map(0, 2, SIZE)[..., 0]))
    inner = -F.max_pool2d(-seen[None].float(), 5, stride=1, padding=2)[0] > 0
    difference = (projected[0] - linear_from_srgb(view)).abs().mean(dim=0)[inner]
    assert difference.median() < 0.02
