"""`uvtex data maps` on shots whose exposure the camera chose."""

from pathlib import Path

import numpy as np
from PIL import Image

from tests.imaging.map_estimation.made_camera import made_camera
from tests.imaging.map_estimation.test_exposure import drawn, exposed
from tests.intake.made_photos import photo_set
from tests.intake.test_map_finding import SPLIT
from uvtex.data import manifest
from uvtex.intake.map_finding.find import find_maps

LIVERIES, SIDE = 10, 56


def exposed_set(folder: Path, most: float) -> Path:
    photo_set(folder, LIVERIES, side=SIDE)
    views = exposed(made_camera(LIVERIES, side=SIDE).views, drawn(LIVERIES, most))
    for livery, view in enumerate(views):
        picture = Image.fromarray(view.permute(1, 2, 0).numpy())
        picture.save(folder / f"views/{livery}-0.png")
    return folder


def pixels(folder: Path, view: str) -> np.ndarray:
    return np.asarray(Image.open(folder / view)).astype(float)


def test_shots_of_several_exposures_are_brought_to_one(tmp_path: Path) -> None:
    """Also those of validation and test liveries, which the maps know nothing of."""
    photos = exposed_set(tmp_path / "photos", 0.15)
    still = photo_set(tmp_path / "still", LIVERIES, side=SIDE)
    (camera,) = find_maps(photos, tmp_path / "out", split=SPLIT).cameras
    (usual,) = find_maps(still, tmp_path / "usual", split=SPLIT).cameras
    assert any("views were brought to that of the middle one, by up to" in n for n in camera.notes)
    assert camera.known > usual.known - 0.05
    assert camera.painted < usual.painted * 1.05
    records = manifest.read(tmp_path / "out").records
    assert len(records) == LIVERIES
    off = [pixels(tmp_path / "out", r.view) - pixels(still, r.view) for r in records]
    backdrop = np.stack([picture[:3] for picture in off])
    # The usual exposure is that of the middle view. Against each other, views are as they were.
    assert abs(backdrop - np.median(backdrop, axis=0)).max() <= 2
    taken = [pixels(photos, r.view) - pixels(still, r.view) for r in records]
    assert abs(np.stack([picture[:3] for picture in taken])).max() > 10


def test_shots_of_one_exposure_are_copied_unchanged(tmp_path: Path) -> None:
    still = photo_set(tmp_path / "still", LIVERIES, side=SIDE)
    (camera,) = find_maps(still, tmp_path / "out").cameras
    assert not any("exposure" in note for note in camera.notes)
    for record in manifest.read(tmp_path / "out").records:
        view = Path(record.view)
        assert (tmp_path / "out" / view).read_bytes() == (still / view).read_bytes()
