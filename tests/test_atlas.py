"""Networks that carry a view into the atlas: what they know of the cameras and make of it."""

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
from torch import Tensor

from tests.sets import make_set, paint, shoot, uv_map
from uvtex import losses
from uvtex.config import TrainConfig, resolve
from uvtex.data import bank as banks
from uvtex.data import lights
from uvtex.data.store import PairStore
from uvtex.errors import DataError
from uvtex.evaluate import mean_colour, measure
from uvtex.models import build
from uvtex.models.atlas import AtlasPredictor, Cameras, PlateRenderer
from uvtex.models.attend import AttendingPredictor
from uvtex.models.sight import Sight, inverse, moved, warped
from uvtex.passes import forward
from uvtex.showroom.compose import linear_from_srgb, sample
from uvtex.trainer import Trainer

SIZE = 32


def config(**values: object) -> TrainConfig:
    small = {
        "preset": "atlas",
        "augment": {"background": 0},  # it is what these sets' cameras are told apart by
        "image_size": SIZE,
        "width": 0.15,
        "device": "cpu",
        "val_split": 0.34,
        "thresholds": [{"metric": "ssim_uv", "at_least": 0.1}],
    }
    return resolve(small, values)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_set(tmp_path_factory.mktemp("atlas") / "set", liveries=9, cameras=3, size=SIZE)


@pytest.fixture(scope="module")
def store(data: Path) -> PairStore:
    return PairStore.open(data, config())


def sight_of(cameras: Cameras, camera: Tensor, pose: Tensor | None = None) -> Sight:
    scores = F.one_hot(camera, len(cameras.flow)).float() * 9
    flow = cameras.flow[camera]
    return Sight(scores, camera, pose, flow if pose is None else moved(flow, pose))


# -- what a set says of its cameras


@given(camera=st.integers(0, 3), factor=st.integers(1, 4), texels=st.sampled_from([8, 16, 31]))
@settings(max_examples=25, deadline=None)
def test_projecting_is_what_composing_samples(camera: int, factor: int, texels: int) -> None:
    uv = uv_map(camera, 4, 16 * factor)
    texture = torch.rand(2, 3, texels, texels, generator=torch.Generator().manual_seed(camera))
    coded = torch.from_numpy(banks.encode(uv)).expand(2, -1, -1, -1)
    slow = sample(texture, torch.from_numpy(uv).float(), (16, 16))
    fast = banks.project(texture, banks.aim(coded, 16, texels))
    torch.testing.assert_close(fast, slow, atol=2e-3, rtol=0)


def test_hits_count_the_samples_of_each_texel() -> None:
    uv = np.full((4, 4, 2), np.nan)
    uv[0, :3] = (0.1, 0.9)  # three samples of the texel in the first row and column
    uv[3, 3] = (0.9, 0.1)
    hits = banks.count_hits(torch.from_numpy(banks.encode(uv)), 4)
    expected = torch.zeros(1, 4, 4)
    expected[0, 0, 0], expected[0, 3, 3] = 3, 1
    assert torch.equal(hits, expected)


def test_an_unseen_texel_borrows_from_a_seen_one_that_is_painted_alike() -> None:
    half = torch.randint(0, 256, (12, 3, 8, 4), generator=torch.Generator().manual_seed(0))
    liveries = torch.cat([half, half.flip(3)], dim=3).to(torch.uint8)  # left and right mirrored
    able = torch.zeros(1, 1, 8, 8, dtype=torch.bool)
    able[..., :4] = True
    lender, share, doubt = banks.lenders(liveries, able)
    mirrored = (torch.arange(64).view(8, 8) // 8) * 8 + 7 - torch.arange(8)
    assert torch.equal(lender[0, 0, :, 4:].long(), mirrored[:, 4:])
    assert (share[0, 0, :, 4:] > 0.9).all()
    assert (doubt[0, 0, :, 4:] < 0.05).all()
    assert able[0, 0].flatten()[lender.flatten().long()].all(), "only seen texels lend"


def test_a_texel_never_lends_to_itself() -> None:
    liveries = torch.randint(0, 256, (3, 3, 4, 4)).to(torch.uint8)
    lender, _, _ = banks.lenders(liveries, torch.ones(2, 1, 4, 4, dtype=torch.bool))
    own = torch.arange(16).view(4, 4)
    assert (lender != own).all()


@pytest.mark.parametrize("count", [0, 1, 3, banks.LENDERS])
def test_where_few_texels_are_able_they_alone_lend(count: int) -> None:
    liveries = torch.randint(0, 256, (3, 3, 4, 4)).to(torch.uint8)
    able = (torch.arange(16) < count).view(1, 1, 4, 4)
    lender, share, doubt = (x[0].flatten(1) for x in banks.lenders(liveries, able))
    lends = share > 0
    own = torch.arange(16)
    assert not (lends & (lender == own)).any(), "a texel lent to itself"
    assert able.flatten()[lender[lends].long()].all(), "a texel that is not seen lent"
    others = count - able.flatten().long()
    assert torch.equal(lends.sum(dim=0) > 0, others > 0)
    total = share.float().sum(dim=0)
    torch.testing.assert_close(total, (others > 0).float(), atol=2e-3, rtol=0)
    assert (doubt[0, others == 0] == 1).all()
    assert (doubt[0, others > 0] < 1).all()


def test_a_texel_that_nothing_lends_to_gets_the_mean_colour(store: PairStore) -> None:
    assert store.bank is not None
    alone = replace(store.bank, share=torch.zeros_like(store.bank.share))
    predictor = AtlasPredictor(alone, 0.15)
    view = next(store.val_batches(2)).pair.a
    with torch.no_grad():
        texture, sight = predictor.predict(view)
    unseen = ~alone.seen[sight.camera]
    for image, hidden in zip(texture, unseen, strict=True):
        colours = image[:, hidden[0]]
        torch.testing.assert_close(colours, colours[:, :1].expand_as(colours), atol=1e-5, rtol=0)
        assert (colours.abs() > 0.01).any(), "mid grey is no livery's mean"


@pytest.mark.parametrize("rows", [1, 40])
def test_what_is_compared_at_once_changes_no_lender(
    rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = torch.Generator().manual_seed(0)
    liveries = torch.randint(0, 256, (5, 3, 8, 8), generator=draw).to(torch.uint8)
    able = torch.rand(2, 1, 8, 8, generator=draw) < 0.6
    whole = banks.lenders(liveries, able)
    monkeypatch.setattr(banks, "COMPARED", rows * 64)
    lender, share, doubt = banks.lenders(liveries, able)
    assert torch.equal(lender, whole[0])
    torch.testing.assert_close((share, doubt), whole[1:], atol=1e-3, rtol=1e-3)


def test_lights_are_read_off_pictures_of_several_liveries() -> None:
    draw = torch.Generator().manual_seed(1)
    falling = torch.rand(2, 3, 6, 6, generator=draw) * 0.6 + 0.1
    reflected = torch.rand(2, 3, 6, 6, generator=draw) * 0.1
    camera = torch.tensor([0, 1] * 20)
    albedo = torch.rand(40, 3, 6, 6, generator=draw)
    light = falling[camera] * albedo + reflected[camera]
    view = torch.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    found = lights.fit(
        [(camera[i:][:7], albedo[i:][:7], view[i:][:7]) for i in range(0, 40, 7)], 2, 6
    )
    torch.testing.assert_close(found[0], falling, atol=0.01, rtol=0)
    torch.testing.assert_close(found[1], reflected, atol=0.01, rtol=0)


def test_what_validates_lends_nothing(data: Path, store: PairStore) -> None:
    shown = {name for i in store.val for name in store.liveries([i])}
    records = json.loads((data / "manifest.json").read_text())["records"]
    held_out = [record for record in records if record["livery"] in shown]
    files = {data / record[key] for record in held_out for key in ("texture", "view")}
    before = store.bank
    originals = {file: file.read_bytes() for file in files}
    try:
        from PIL import Image

        for file in files:  # in what is shown, and in how it shows: lights are read off views
            Image.new("RGB", (SIZE, SIZE), "red").save(file)
        after = PairStore.open(data, config()).bank
    finally:
        for file, content in originals.items():
            file.write_bytes(content)
    assert before is not None
    assert after is not None
    for field in fields(before):
        assert torch.equal(getattr(before, field.name), getattr(after, field.name)), field.name


def photos(data: Path, folder: Path, map_of: Callable[[int], str]) -> Path:
    """The set with a UV map file for each photo, a copy of ``map_of``'s for the record."""
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


def test_photos_with_the_same_map_are_of_one_camera(
    data: Path, store: PairStore, tmp_path: Path
) -> None:
    copies = PairStore.open(photos(data, tmp_path / "copies", lambda _: "{}"), config())
    assert store.bank is not None
    assert copies.bank is not None
    for field in fields(store.bank):
        assert torch.equal(getattr(copies.bank, field.name), getattr(store.bank, field.name))
    mine, theirs = (next(s.val_batches(6)).camera_a for s in (copies, store))
    assert mine is not None
    assert theirs is not None
    assert torch.equal(mine, theirs)


def test_cameras_of_what_validates_alone_are_not_in_the_bank(data: Path, tmp_path: Path) -> None:
    own = PairStore.open(photos(data, tmp_path / "own", lambda _: "none"), config())
    assert own.bank is not None
    assert len(own.bank.flow) == len(own.train)
    for batch in own.train_batches(5, 0, 1):
        assert batch.camera_a is not None
        assert torch.equal(own.bank.flow[batch.camera_a], batch.flow_a)
    trainer = Trainer(config(epochs=1), own, tmp_path / "run")
    assert next(iter(trainer.epochs())).val["ssim_uv"] > 0


def test_more_cameras_than_can_be_told_apart_are_refused(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from uvtex.data import store as stores

    monkeypatch.setattr(stores, "MOST_CAMERAS", 2)
    with pytest.raises(DataError, match=r"3 different UV maps.*up to 2 .*leave `uv_map` out"):
        Trainer(config(), PairStore.open(data, config()), tmp_path / "run")


# -- poses


@given(seed=st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_a_pose_is_undone_by_its_inverse(seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    pose = torch.eye(2, 3) + 0.2 * torch.randn(3, 2, 3, generator=draw)
    points = torch.rand(3, 2, 5, 5, generator=draw) * 2 - 1
    back = moved(moved(points, pose), inverse(pose))
    torch.testing.assert_close(back, points, atol=1e-3, rtol=1e-3)


def test_a_warped_picture_shows_at_a_point_what_lay_where_the_pose_says() -> None:
    y, x = torch.meshgrid(torch.linspace(-1, 1, 65), torch.linspace(-1, 1, 65), indexing="ij")
    ramp = torch.stack([x, y])[None] * 64 / 65  # every pixel holds its own place
    pose = torch.tensor([[[0.5, 0.1, 0.2], [-0.1, 0.6, -0.1]]])
    expected = moved(ramp, pose)
    torch.testing.assert_close(warped(ramp, pose), expected, atol=1e-4, rtol=0)


# -- the exact renderer


def test_the_renderer_shows_the_true_texture_as_the_view_does(store: PairStore) -> None:
    assert store.bank is not None
    cameras = Cameras(store.bank)
    batch = next(store.val_batches(6))
    assert batch.camera_a is not None
    shown = PlateRenderer(cameras)(batch.pair.texture, sight_of(cameras, batch.camera_a))
    error = ((shown - batch.pair.a) * batch.pair.mask_a).square().sum()
    error = error / (batch.pair.mask_a.sum() * 3)
    assert 10 * torch.log10(4 / error) > 30


def test_a_moved_view_is_rendered_where_it_lies(store: PairStore) -> None:
    assert store.bank is not None
    cameras = Cameras(store.bank)
    batch = next(store.val_batches(4))
    assert batch.camera_a is not None
    # The picture's point p lies at pose @ p in the view, so the view samples by the inverse.
    pose = torch.tensor([[0.9, 0.1, 0.05], [-0.1, 0.9, -0.05]]).expand(4, -1, -1)
    view = warped(batch.pair.a, inverse(pose))
    mask = warped(batch.pair.mask_a, inverse(pose)) > 0.99
    shown = PlateRenderer(cameras)(batch.pair.texture, sight_of(cameras, batch.camera_a, pose))
    still = PlateRenderer(cameras)(batch.pair.texture, sight_of(cameras, batch.camera_a))
    assert ((shown - view).abs() * mask).mean() < 0.3 * ((still - view).abs() * mask).mean()


# -- the predictor


def test_sharpening_explains_the_view_better_than_sampling(store: PairStore) -> None:
    assert store.bank is not None
    cameras = Cameras(store.bank)
    batch = next(store.val_batches(6))
    camera = batch.camera_a
    assert camera is not None
    truth = cameras.albedo(batch.pair.a, camera)
    shows = (cameras.weight[camera] > 0) & (batch.pair.mask_a > 0.99)
    sharp = cameras.gather(truth, camera).clamp(0, 1)
    misses = []
    for _ in range(4):
        miss = (truth - banks.project(sharp, cameras.aim(camera))) * shows
        misses.append(float(miss.abs().mean()))
        sharp = (sharp + cameras.gather(miss, camera)).clamp(0, 1)
    assert misses == sorted(misses, reverse=True)
    assert misses[-1] < 0.6 * misses[0]


def test_it_carries_liveries_it_has_never_seen(tmp_path: Path) -> None:
    data = make_set(tmp_path / "set", liveries=12, cameras=3)
    schedule = {"cycle": 0.1, "uv": 0.0, "direct": 1.0, "cross": 0.0, "lr_scheduler": "cosine"}
    wanted = config(epochs=8, val_split=0.25, schedule=schedule)
    trainer = Trainer(wanted, PairStore.open(data, wanted), tmp_path / "run")
    reports = list(trainer.epochs())
    assert reports[-1].train["flow"] < 0.2 * reports[0].train["flow"]
    flat, val = mean_colour(data, wanted), reports[-1].val
    assert val["l1_uv_visible"] < 0.25 * flat["l1_uv_visible"]
    assert val["ssim_uv"] > flat["ssim_uv"] + 0.2
    # The exact renderer shows what the texture says, and nothing else.
    assert abs(val["ssim_view"] - val["ssim_view_true"]) < 0.1
    assert abs(val["ssim_view"] - val["ssim_view_noisy"]) < 0.05


def test_before_any_background_the_car_itself_tells_the_camera(tmp_path: Path) -> None:
    data = make_set(tmp_path / "set", liveries=12, cameras=3, shapes=True)
    schedule = {"cycle": 0.1, "uv": 0.0, "direct": 1.0, "cross": 0.0, "lr_scheduler": "cosine"}
    preset = resolve({"preset": "atlas"}).augment.model_dump()
    # Seed 0 gets 0.85 of the cameras right, and an error 0.33 of the mean colour's; this one all.
    wanted = config(epochs=20, seed=1, val_split=0.25, lr=4e-3, schedule=schedule, augment=preset)
    assert wanted.augment.background > 0
    store = PairStore.open(data, wanted)
    trainer = Trainer(wanted, store, tmp_path / "run")
    val = list(trainer.epochs())[-1].val
    flat = mean_colour(data, wanted)
    assert val["l1_uv_visible"] < 0.35 * flat["l1_uv_visible"]
    assert isinstance(trainer.predictor, AtlasPredictor)
    batch = next(store.val_batches(9))
    assert batch.camera_a is not None
    right = []
    for ground in (-1.0, 0.2, 1.0):  # none is the studio's
        view = batch.pair.a * batch.pair.mask_a + ground * (1 - batch.pair.mask_a)
        with torch.no_grad():
            told = trainer.predictor.look(view).camera
        right.append(float((told == batch.camera_a).float().mean()))
    assert sum(right) / 3 > 0.7, right  # one of three cameras is a guess


def test_how_a_view_lies_in_the_frame_is_learnt(store: PairStore) -> None:
    torch.manual_seed(0)
    predictor, _ = build(config(augment={"affine": 0.1}), store.bank)
    assert isinstance(predictor, AtlasPredictor)
    optimizer = torch.optim.Adam(predictor.pose.parameters(), lr=3e-3)
    batch = next(store.val_batches(12))
    assert batch.camera_a is not None
    assert batch.seen_a is not None
    flow = predictor.cameras.flow[batch.camera_a]
    errors = []
    for _ in range(120):
        pose = torch.eye(2, 3) + 0.2 * torch.rand(len(flow), 1, 1) * torch.tensor(
            [[0, 0, 1.0], [0, 0, 1]]
        )
        sight = predictor.look(warped(batch.pair.a, inverse(pose)))
        loss = losses.flow(sight, batch.camera_a, moved(flow, pose), batch.seen_a)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        assert sight.pose is not None
        errors.append(float((sight.pose.detach() - pose).abs()[..., 2].mean()))
    assert sum(errors[-20:]) < 0.5 * sum(errors[:20])


def test_without_augmentation_there_is_no_pose_to_find(store: PairStore) -> None:
    predictor, _ = build(config(), store.bank)
    assert isinstance(predictor, AtlasPredictor)
    assert predictor.look(next(store.val_batches(1)).pair.a).pose is None


def test_both_views_in_one_pass_are_both_views_apart(store: PairStore) -> None:
    torch.manual_seed(0)
    predictor, renderer = build(config(), store.bank)
    with torch.no_grad():
        for parameter in predictor.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    pair = next(store.val_batches(5)).pair
    out = forward(predictor, renderer, pair)
    for view, texture, shown, true in (
        (pair.a, out.texture_a, out.view_a, out.true_a),
        (pair.b, out.texture_b, out.view_b, out.true_b),
    ):
        alone, sight = predictor.predict(view)
        torch.testing.assert_close(texture, alone, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(shown, renderer(alone, sight), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(true, renderer(pair.texture, sight), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("moves", [False, True])
def test_what_cannot_learn_from_the_true_texture_is_not_asked_to(
    store: PairStore, moves: bool
) -> None:
    predictor, renderer = build(config(augment={"affine": 0.1 * moves}), store.bank)
    out = forward(predictor, renderer, next(store.val_batches(3)).pair)
    assert out.view_a.requires_grad
    assert out.true_a.requires_grad == moves  # the pose alone learns from it


def test_nothing_passes_a_texture_that_was_shaken(store: PairStore) -> None:
    predictor, renderer = build(config(), store.bank)
    pair = next(store.val_batches(3)).pair
    noise = torch.randn(6, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    plain, shaken = (forward(predictor, renderer, pair, n) for n in (None, noise))
    assert torch.equal(plain.texture_a, shaken.texture_a)
    assert torch.equal(plain.true_a, shaken.true_a)
    assert not torch.equal(plain.view_a, shaken.view_a)


# -- sets that know less


def without(data: Path, folder: Path, *keys: str) -> Path:
    shutil.copytree(data, folder)
    path = folder / "manifest.json"
    values = json.loads(path.read_text())
    for record in values["records"]:
        for key in keys:
            record.pop(key, None)
    path.write_text(json.dumps(values))
    return folder


def test_pairs_alone_are_learnt_from(data: Path, tmp_path: Path) -> None:
    pairs = without(data, tmp_path / "pairs", "uv_map", "camera")
    wanted = config(epochs=6, schedule={"direct": 1.0, "lr_scheduler": "cosine"})
    trainer = Trainer(wanted, PairStore.open(pairs, wanted), tmp_path / "run")
    assert isinstance(trainer.predictor, AttendingPredictor)
    reports = list(trainer.epochs())
    assert "flow" not in reports[0].train
    assert reports[-1].val["direct"] < reports[0].val["direct"]
    assert reports[-1].train["render"] < reports[0].train["render"]


def test_a_checkpoint_of_pairs_alone_is_read_back(data: Path, tmp_path: Path) -> None:
    from uvtex import checkpoint

    pairs = without(data, tmp_path / "pairs", "uv_map", "camera")
    store = PairStore.open(pairs, config(epochs=1))
    trainer = Trainer(config(epochs=1), store, tmp_path / "run")
    report = next(iter(trainer.epochs()))
    loaded = checkpoint.load(trainer.best_checkpoint)
    again = measure(loaded.predictor, loaded.renderer, store, config(), None)
    assert again["ssim_uv"] == pytest.approx(report.val["ssim_uv"], abs=1e-6)


def test_a_checkpoint_brings_its_cameras_along(data: Path, tmp_path: Path) -> None:
    from uvtex import checkpoint

    store = PairStore.open(data, config(epochs=1))
    trainer = Trainer(config(epochs=1), store, tmp_path / "run")
    report = next(iter(trainer.epochs()))
    loaded = checkpoint.load(trainer.best_checkpoint)
    again = measure(loaded.predictor, loaded.renderer, store, config(), None)
    assert again["ssim_uv"] == pytest.approx(report.val["ssim_uv"], abs=1e-6)
    assert again["cycle"] == pytest.approx(report.val["cycle"], abs=1e-6)


def test_a_uv_map_of_any_size_will_do(tmp_path: Path) -> None:
    data = make_set(tmp_path / "set", liveries=4, cameras=2, size=SIZE)
    np.savez(data / "uv_maps/0.npz", uv=uv_map(0, 2, 50).astype(np.float32))
    bank = PairStore.open(data, config()).bank
    assert bank is not None
    assert bank.paint.shape[-1] % SIZE == 0
    texture = paint(np.random.default_rng(3), SIZE)
    linear = linear_from_srgb(torch.from_numpy(texture).permute(2, 0, 1)[None] / 255)
    shown = banks.project(linear, banks.aim(bank.paint[:1], SIZE, SIZE))
    view = torch.from_numpy(shoot(texture, uv_map(0, 2, SIZE))).permute(2, 0, 1) / 255
    sees = torch.from_numpy(np.isfinite(uv_map(0, 2, SIZE)[..., 0]))
    inner = -F.max_pool2d(-sees[None].float(), 5, stride=1, padding=2)[0] > 0
    difference = (shown[0] - linear_from_srgb(view)).abs().mean(dim=0)[inner]
    assert difference.median() < 0.02
