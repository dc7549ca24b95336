"""The mask of a photo: given, found by name, taken from transparency, or guessed."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from tests.inference.made_photos import call, inferred, photo

pytestmark = pytest.mark.usefixtures("in_tmp_path")


def test_transparency_is_the_mask(model: Path) -> None:
    with Image.open(photo("p.png", 100, 100, (10, 20, 90, 80))) as picture:
        cut = picture.convert("RGBA")
    alpha = Image.new("L", cut.size, 0)
    alpha.paste(255, (10, 20, 90, 80))
    cut.putalpha(alpha)
    cut.save("cut.png")
    mask = inferred(model, "cut.png")[0]["mask"]
    assert mask == {"source": "alpha", "guessed": False, "share": 0.48}


def test_a_guessed_mask_is_marked_as_guessed(model: Path) -> None:
    small, none = inferred(
        model, photo("small.png", 400, 400, (30, 30, 90, 70)), photo("none.png", 50, 50, (0,) * 4)
    )
    assert small["mask"]["source"] == "backdrop"
    assert small["mask"]["guessed"]
    assert small["cropped"]
    warnings = " ".join(small["warnings"])
    assert "the car fills" in warnings
    assert "guessed mask" in warnings
    assert none["mask"]["source"] == "everything"
    assert "no car was found" in none["warnings"][0]


def test_a_folder_of_masks_is_searched_by_name(model: Path) -> None:
    names = [photo(f"{folder}/x.png", 60, 60, (10, 10, 50, 50)) for folder in "ab"]
    Path("masks").mkdir()
    for name, share in (("a_x", 30), ("b_x", 60)):
        Image.new("L", (60, 60), 0).save(f"masks/{name}.png")
        with Image.open(f"masks/{name}.png") as mask:
            mask.paste(255, (0, 0, 60, share))
            mask.save(f"masks/{name}.png")
    records = inferred(model, *names, "--mask", "masks")
    assert [record["mask"]["share"] for record in records] == [0.5, 1.0]
    assert records[0]["mask"]["source"] == str(Path("masks/a_x.png"))


def test_a_mask_that_does_not_fit_is_refused(model: Path) -> None:
    path = photo("p.png", 90, 60, (10, 10, 80, 40))
    Image.new("L", (60, 90), 255).save("turned.png")
    Image.new("L", (90, 60), 0).save("empty.png")
    Image.new("L", (45, 30), 255).save("half.png")
    Path("masks").mkdir()
    for mask, says in (
        ("turned.png", "is 60x90, and p.png is 90x60"),
        ("empty.png", "marks no car"),
        ("masks", "no mask for p.png"),
    ):
        result = call(model, path, "--mask", mask, "--out", "o")
        assert result.exit_code == 1
        assert says in result.stderr
    assert call(model, path, "--mask", "half.png", "--out", "half").exit_code == 0
    two = call(
        model, path, photo("q.png", 90, 60, (1, 1, 9, 9)), "--mask", "half.png", "--out", "o"
    )
    assert two.exit_code == 2
    assert "folder of masks" in two.stderr
    assert not Path("o").exists()
