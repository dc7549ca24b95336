"""Seams: the edges that the unwrap cuts, and the energy of textures along them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from uvtex.errors import DataError
from uvtex.imaging import seams
from uvtex.imaging.seams import SEAMS
from uvtex.showroom.cars.mesh import Floats, Mesh, grid, merge
from uvtex.showroom.cars.seam_edges import seam_edges, write
from uvtex.showroom.cars.subject import PAINT, built_in
from uvtex.showroom.liveries.procedural import paint

SIZE = 64
LEFT, RIGHT = (0.125, 0.375), (0.625, 0.875)
"""Two panels of an atlas: u from, u to; both from v 0.25 to 0.75, on texel borders."""


def panel(x0: float, x1: float, u: tuple[float, float], steps: int = 5) -> Mesh:
    """An upright sheet from ``x0`` to ``x1``, two metres high, at ``u`` of the atlas."""
    x, z = np.meshgrid([x0, x1], np.linspace(0, 2, steps))
    across = (x - x0) / (x1 - x0)
    uv = np.stack([u[0] + across * (u[1] - u[0]), 0.25 + z / 4], -1)
    return grid(np.stack([x, np.zeros_like(x), z], -1), uv)


def two_panels() -> Mesh:
    """Two panels that meet at x = 1: the right edge of one is the left edge of the other."""
    return merge([panel(0, 1, LEFT), panel(1, 2, RIGHT)])


def seams_of(mesh: Mesh | None = None) -> seams.Seams:
    """The seams of a mesh whose whole atlas is covered."""
    covered = torch.ones(SIZE, SIZE, dtype=torch.bool)
    return seams.sampled(*seam_edges(mesh or two_panels()), covered)


def smooth(seed: int = 0) -> Tensor:
    """A texture [1, 3, S, S] whose colour depends on v alone: no seam shows between the panels."""
    rng = np.random.default_rng(seed)
    height = np.linspace(0, 1, SIZE)[:, None]
    wave = np.sin(height * rng.uniform(2, 6, 3) + rng.uniform(0, 6, 3)) * 0.5  # [S, 3]
    return torch.from_numpy(wave).float().T[None, :, :, None].expand(1, 3, SIZE, SIZE).clone()


def stepped(texture: Tensor, by: float) -> Tensor:
    """The texture with its right half lighter by ``by``."""
    out = texture.clone()
    out[..., SIZE // 2 :] += by
    return out


def test_where_two_panels_meet_there_is_one_seam() -> None:
    a, b, length = seam_edges(two_panels())
    assert length.sum() == pytest.approx(2)
    sides = {
        (round(float(p), 6), round(float(q), 6))
        for p, q in zip(a[..., 0].mean(1), b[..., 0].mean(1), strict=True)
    }
    assert sides <= {(LEFT[1], RIGHT[0]), (RIGHT[0], LEFT[1])}
    np.testing.assert_allclose(a[..., 1], b[..., 1], atol=1e-9)  # the same end first on both sides
    assert sorted(set(a[..., 1].round(6).ravel())) == [0.25, 0.375, 0.5, 0.625, 0.75]


def test_a_rolled_up_sheet_has_its_seam_where_the_atlas_ends() -> None:
    angle, height = np.meshgrid(np.linspace(0, 2 * np.pi, 13), np.linspace(0, 3, 4))
    tube = grid(
        np.stack([np.cos(angle), np.sin(angle), height], -1),
        np.stack([angle / (2 * np.pi), height / 3], -1),
    )
    a, b, length = seam_edges(tube)
    assert length.sum() == pytest.approx(3)
    assert {*a[..., 0].ravel()} | {*b[..., 0].ravel()} == {0.0, 1.0}


def test_an_uncut_edge_is_not_a_seam() -> None:
    left = panel(0, 1, LEFT)
    mirrored_uv = Mesh(left.position * [-1, 1, 1], left.normal, left.uv, left.faces[:, ::-1])
    repeated = panel(1, 2, (LEFT[1] + 1, LEFT[1] + 1.25))  # continues in the next tile
    behind = Mesh(left.position, -left.normal, left.uv, left.faces[:, ::-1])
    three = merge([two_panels(), rotated(panel(1, 2, (0.4, 0.6)))])
    for name, mesh in {
        "one sheet": left,
        "halves that share their texels": merge([left, mirrored_uv]),
        "a texture that repeats": merge([left, repeated]),
        "both faces of a sheet": merge([left, behind]),
        "an edge of three sheets": three,
    }.items():
        assert len(seam_edges(mesh)[2]) == 0, name


def rotated(mesh: Mesh) -> Mesh:
    """The mesh rotated by a right angle about the edge at x = 1."""
    x, y, z = mesh.position.T
    position = np.stack([np.ones_like(x), x - 1 + y, z], 1)
    return Mesh(position, mesh.normal, mesh.uv, mesh.faces)


def test_panels_cut_apart_by_rounding_still_meet() -> None:
    left, right = panel(0, 1, LEFT), panel(1, 2, RIGHT)
    noise = np.random.default_rng(0).uniform(-2e-5, 2e-5, right.position.shape)
    moved = Mesh(right.position + noise, right.normal, right.uv, right.faces)
    assert seam_edges(merge([left, moved]))[2].sum() == pytest.approx(2, abs=1e-3)


def test_a_texture_that_continues_across_the_seam_has_no_energy() -> None:
    assert float(seams.energy(smooth(), seams_of().sides)) < 1e-10


@pytest.mark.parametrize("size", [0.05, 0.2, 0.8])
def test_the_energy_of_a_seam_is_the_square_of_its_colour_step(size: float) -> None:
    assert float(seams.energy(stepped(smooth(), size), seams_of().sides)) == pytest.approx(size**2)


def test_energy_is_weighted_by_length_on_the_car() -> None:
    """A seam of 2 m and one of 6 m; the step is at half of the short one."""
    tall = merge([two_panels(), scaled(two_panels(), 3)])
    step = smooth()
    step[..., SIZE // 2 :, SIZE // 2 :] += 1  # v below 0.5, where the short pair lies
    assert float(seams.energy(step, seams_of(tall).sides)) == pytest.approx(1 / 8, abs=0.01)


def scaled(mesh: Mesh, by: float) -> Mesh:
    """The mesh far away and ``by`` times as high, with its UVs in the upper half of the panels."""
    low = mesh.uv * [1, 0.5] + [0, 0.375]
    mesh_uv: Floats = low if by > 1 else mesh.uv
    return Mesh(mesh.position * [1, 1, by] + [0, 50, 0], mesh.normal, mesh_uv, mesh.faces)


def test_excess_is_zero_for_the_true_texture_and_grows_with_the_step() -> None:
    true, car = smooth(), seams_of()
    values = [float(seams.excess(stepped(true, s), true, car)) for s in (0, 0.1, 0.2, 0.4)]
    assert values[0] == 0
    assert values[2] == pytest.approx(4 * values[1], rel=1e-3)
    assert values[3] == pytest.approx(16 * values[1], rel=1e-3)


def test_steps_of_the_true_texture_do_not_count_as_excess() -> None:
    true, car = stepped(smooth(), 0.5), seams_of()
    assert float(seams.excess(true, true, car)) == 0
    assert float(seams.excess(smooth(), true, car)) == 0  # a missing step is not a seam
    beyond = float(seams.excess(stepped(smooth(), 0.7), true, car))
    scale = float(seams.energy(true, car.random))
    assert beyond == pytest.approx((0.7**2 - 0.5**2) / scale, rel=1e-3)


def test_an_excess_of_one_means_a_difference_as_between_random_places() -> None:
    """In random blotches the two sides of a seam differ as much as any two places."""
    noise = torch.randn(64, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    # The shift by 3 keeps the borders of blotches off the seam.
    noise = noise.repeat_interleave(8, 2).repeat_interleave(8, 3).roll(3, 3)
    car = seams_of()
    ratio = seams.energy(noise, car.sides).mean() / seams.energy(noise, car.random).mean()
    assert float(ratio) == pytest.approx(1, abs=0.15)
    flat = torch.zeros(1, 3, SIZE, SIZE)
    # The floor of the denominator prevents 0 / 0 for a plain texture.
    assert float(seams.excess(stepped(flat, 0.01), flat, car)) < 0.03


def test_random_pairs_are_on_the_car_and_have_the_distances_of_the_seam() -> None:
    covered = torch.zeros(SIZE, SIZE, dtype=torch.bool)
    covered[16:48, 8:56] = True
    car = seams.sampled(*seam_edges(two_panels()), covered)
    far, pairs = (car.sides.a - car.sides.b).norm(dim=1), car.random
    assert (pairs.a - pairs.b).norm(dim=1).tolist() == pytest.approx(far.tolist(), abs=1e-5)
    for place in (pairs.a, pairs.b):
        row, column = ((1 - place[:, 1]) * SIZE).long(), (place[:, 0] * SIZE).long()
        assert covered[row, column].all()
    again = seams.sampled(*seam_edges(two_panels()), covered)
    assert torch.equal(again.random.b, pairs.b)


def test_points_on_a_seam_are_as_dense_as_texels() -> None:
    car = seams_of()
    along = car.sides.a[:, 1].sort().values.diff()
    assert float(along.max()) < 0.51 / SIZE
    assert float(car.sides.weight.sum()) == pytest.approx(1, abs=1e-5)


def test_a_gradient_step_lowers_the_excess() -> None:
    true, car = smooth(), seams_of()
    texture = stepped(true, 0.4).requires_grad_()
    before = seams.excess(texture, true, car).sum()
    before.backward()  # type: ignore[no-untyped-call]
    assert texture.grad is not None
    moved = texture.grad.abs().sum(dim=(0, 1, 2)).nonzero().flatten() / SIZE
    for edge in (LEFT[1], RIGHT[0]):
        assert ((moved - edge).abs() < 2 / SIZE).any()
    assert all(min(abs(float(u) - LEFT[1]), abs(float(u) - RIGHT[0])) < 2 / SIZE for u in moved)
    after = seams.excess(texture.detach() - 0.1 * texture.grad, true, car)
    assert float(after) < float(before.detach())


def test_textures_of_the_built_in_car_have_no_excess_until_they_are_broken() -> None:
    a, b, length = seam_edges(built_in().meshes[PAINT])
    assert length.sum() == pytest.approx(9.41, abs=0.05)  # both shoulders
    car = seams.sampled(a, b, length, torch.ones(SIZE, SIZE, dtype=torch.bool))
    pictures = np.stack([paint(seed, SIZE) for seed in range(3)])
    true = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1
    assert seams.excess(true, true, car).tolist() == [0, 0, 0]
    values = []
    for step in (0.1, 0.2, 0.4):
        broken = true.clone()
        broken[:, :, : round(0.17 * SIZE)] += step  # the right side, at the atlas' top
        values.append(seams.excess(broken, true, car))
    assert (values[0] > 0).all()
    assert (values[1] > values[0]).all()
    assert (values[2] > values[1]).all()


def test_written_seams_are_read_back(tmp_path: Path) -> None:
    covered = torch.ones(SIZE, SIZE, dtype=torch.bool)
    assert seams.read(tmp_path, covered) is None
    write(tmp_path, two_panels())
    found = seams.read(tmp_path, covered)
    assert found is not None
    torch.testing.assert_close(found.sides.a, seams_of().sides.a)
    content = (tmp_path / SEAMS).read_bytes()
    write(tmp_path, panel(0, 1, LEFT))  # a continued build keeps the file
    assert (tmp_path / SEAMS).read_bytes() == content
    (tmp_path / SEAMS).unlink()
    write(tmp_path, panel(0, 1, LEFT))
    assert seams.read(tmp_path, covered) is None  # a car without seams


def test_a_broken_seam_file_is_named(tmp_path: Path) -> None:
    covered = torch.ones(SIZE, SIZE, dtype=torch.bool)
    path = tmp_path / SEAMS
    for a in (np.zeros((2, 2, 2)), np.full((1, 2, 2), np.nan)):
        np.savez(path, a=a, b=a, length=np.ones(1))
        with pytest.raises(DataError, match=r"seams\.npz: not readable.*Build the set again"):
            seams.read(tmp_path, covered)
    path.write_bytes(b"no archive")
    with pytest.raises(DataError, match=r"seams\.npz"):
        seams.read(tmp_path, covered)
