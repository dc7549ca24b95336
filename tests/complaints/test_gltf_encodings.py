"""Cars in random encodings of glTF, and broken glTF files."""

from __future__ import annotations

import copy
import json
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.showroom.made_car import small_car
from tests.showroom.made_gltf import MadeGltf, Soup, expected, soup_of
from uvtex.errors import DataError
from uvtex.showroom.cars.mesh_files import mesh_file

UNIT = 4.0
"""The small car lies between -UNIT and UNIT."""
encodings = st.fixed_dictionaries(
    {
        "position": st.sampled_from(["f4", "i2 normalized", "i1 normalized", "i2", "u2"]),
        "uv": st.sampled_from(["f4", "u1 normalized", "u2 normalized", "u2"]),
        "stride": st.sampled_from([0, 16, 20]),
        "sparse": st.booleans(),
        "index": st.sampled_from([None, "u1", "u2", "u4"]),
        "mode": st.sampled_from([4, 5, 6]),
        "mirrored": st.booleans(),
    }
)


class Stored(NamedTuple):
    """An array as a file stores it, and the values that it stands for."""

    numbers: np.ndarray
    kind: str
    normalized: bool
    values: np.ndarray


def stored_positions(position: np.ndarray, how: str, node: dict[str, Any]) -> Stored:
    """``position`` in the encoding ``how``; ``node`` gets the transform that undoes it."""
    kind, _, normalized = how.partition(" ")
    if kind == "f4":
        return Stored(position, kind, False, position)
    shift = UNIT if kind == "u2" else 0.0
    step = UNIT / (127 if kind == "i1" else 32767)
    numbers = np.round((position + shift) / step)
    node["scale"] = [UNIT if normalized else step] * 3
    if shift:
        node["translation"] = [-UNIT, -UNIT, UNIT]
    return Stored(numbers, kind, bool(normalized), numbers * step - shift)


def stored_uvs(uv: np.ndarray, how: str, made: MadeGltf) -> Stored:
    """``uv`` in the encoding ``how``; the material gets the transform that undoes it."""
    kind, _, normalized = how.partition(" ")
    down, texture = uv * (1, -1) + (0, 1), {}
    numbers, values = down, uv
    if kind != "f4":
        most = {"u1": 255, "u2": 65535}[kind]
        numbers = np.round(down * most)
        values = numbers / most * (1, -1) + (0, 1)
        if not normalized:
            texture = {"extensions": {"KHR_texture_transform": {"scale": [1 / most] * 2}}}
    made.tree["textures"] = [{}]
    base = {"baseColorTexture": {"index": 0, **texture}}
    made.tree["materials"] = [{"name": "paint", "pbrMetallicRoughness": base}]
    return Stored(numbers, kind, bool(normalized), values)


def encoded(choice: dict[str, Any]) -> tuple[MadeGltf, Soup]:
    """The small car in the encoding ``choice``, and the corners that its file then holds."""
    made, quads = MadeGltf(), small_car()
    spots = [((a, b), (c, b), (c, d), (a, d)) for _, (a, b, c, d) in quads]
    node: dict[str, Any] = {"rotation": [-(0.5**0.5), 0.0, 0.0, 0.5**0.5]}
    position = np.array([quad for quad, _ in quads]).reshape(-1, 3)
    arrays = {
        "POSITION": stored_positions(position, choice["position"], node),
        "TEXCOORD_0": stored_uvs(np.array(spots).reshape(-1, 2), choice["uv"], made),
    }
    position, uv = (array.values for array in arrays.values())
    order = {4: (0, 1, 2, 0, 2, 3), 5: (0, 1, 3, 2), 6: (0, 1, 2, 3)}[choice["mode"]]
    starts = 4 * np.arange(len(quads))[:, None]
    how = {"stride": choice["stride"], "sparse": choice["sparse"]}
    every = np.arange(len(position))
    primitives = []
    for index in (starts + np.array(order)).reshape(1 if choice["mode"] == 4 else len(quads), -1):
        rows = index if choice["index"] is None else every
        primitive: dict[str, Any] = {"material": 0, "mode": choice["mode"]}
        primitive["attributes"] = {
            name: made.accessor(array.numbers[rows], array.kind, array.normalized, **how)
            for name, array in arrays.items()
        }
        if choice["index"] is not None:
            primitive["indices"] = made.accessor(index[:, None], choice["index"])
        primitives.append(primitive)
    triangles = (0, 1, 3, 1, 2, 3) if choice["mode"] == 5 else (0, 1, 2, 0, 2, 3)
    chosen = (starts + np.array(triangles)).reshape(-1, 3)
    if choice["mirrored"]:
        x, y, z = node.get("scale", [1.0] * 3)
        node["scale"] = [-x, y, z]
        x, y, z = node.get("translation", [0.0] * 3)
        node["translation"] = [-x, y, z]
        position, chosen = position * (-1, 1, 1), chosen[:, ::-1]
    made.mesh(*primitives, node=node)
    return made, (position[chosen.ravel()], uv[chosen.ravel()])


@given(encodings)
@settings(max_examples=60, deadline=None)
def test_a_car_is_the_same_in_every_encoding(choice: dict[str, Any]) -> None:
    made, soup = encoded(choice)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "car.glb"
        path.write_bytes(made.glb())
        found, right = soup_of(path), expected(soup)
    assert found.shape == right.shape
    np.testing.assert_allclose(found, right, atol=5e-5)


def places(tree: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value in ``tree``."""
    inner = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()  # fmt: skip  # noqa: E501
    return [above, *(p for key, value in inner for p in places(value, (*above, key)))]


ODD = st.sampled_from([None, -1, 0, 3, 10**12, 1e308, float("nan"), "x", "", [], {}, [[]], True, [0] * 4])  # fmt: skip  # noqa: E501


@given(encodings, st.data())
@settings(max_examples=150, deadline=None)
def test_a_broken_gltf_file_is_refused_or_read_but_never_a_traceback(
    choice: dict[str, Any], data: st.DataObject
) -> None:
    made, _ = encoded(choice)
    tree = copy.deepcopy(made.tree)
    where = data.draw(st.sampled_from(places(tree)[1:]))
    holder = tree
    for key in where[:-1]:
        holder = holder[key]
    holder[where[-1]] = data.draw(ODD)
    made.tree = json.loads(json.dumps(tree))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "car.glb"
        path.write_bytes(made.glb())
        refused = None
        try:
            assert mesh_file.read(path)
        except DataError as error:
            refused = str(error)
        assert refused is None or str(path) in refused
