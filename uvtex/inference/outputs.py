"""Names of the result files, chosen so that none overwrites another result or a photo."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from uvtex.errors import ConfigError

ENDINGS = {
    "texture": "uv.png",
    "reprojection": "reproj.png",
    "view": "view.png",
    "record": "infer.json",
    "confidence": "confidence.png",
    "layers": "layers.png",
    "dds": "uv.dds",
}
"""Kind of result -> ending of its file's name."""
ALWAYS = ("texture", "reprojection", "view", "record")
"""The kinds of result that every photo has."""
FULL = ("confidence", "layers")
"""The kinds of result that only a texture has that was sampled from the photos."""


def result_files(out: Path, name: str, more: Sequence[str] = ()) -> dict[str, Path]:
    """Kind of result -> the file of that kind for one photo, those of ALWAYS and ``more``."""
    return {kind: out / f"{name}_{ENDINGS[kind]}" for kind in (*ALWAYS, *more)}


def fused_files(
    out: Path, livery: str, names: Sequence[str], more: Sequence[str] = ()
) -> dict[str, Path]:
    """Kind of result -> the file of that kind for one livery with photos of these ``names``.

    The kinds are ``texture``, ``record`` and ``more``; ``view NAME`` and ``reprojection NAME`` of
    each photo.
    """
    files = {kind: out / f"{livery}_{ENDINGS[kind]}" for kind in ("texture", "record", *more)}
    for name in names:
        for kind in ("view", "reprojection"):
            files[f"{kind} {name}"] = out / f"{livery}_{name}_{ENDINGS[kind]}"
    return files


def distinct_names(photos: Sequence[Path]) -> list[str]:
    """One name for each photo, all different, that its result files begin with.

    The name is the photo's stem. Photos that share a stem also get the folder's name in front, then
    the ending behind, then the whole path in front, until all names differ.

    Raises:
        ConfigError: a photo is given twice, or none of these names differ.

    >>> distinct_names([Path("front.png"), Path("a/side.png"), Path("b/side.png")])
    ['front', 'a_side', 'b_side']
    """
    resolved = [photo.resolve() for photo in photos]
    twice = sorted({str(p) for p, r in zip(photos, resolved, strict=True) if resolved.count(r) > 1})
    if twice:
        raise ConfigError(
            f"{', '.join(twice)}: given twice; the results would overwrite each other"
        )
    candidates: list[Callable[[Path], str]] = [
        lambda path: path.stem,
        lambda path: f"{path.parent.name}_{path.stem}",
        lambda path: f"{path.parent.name}_{path.stem}_{path.suffix[1:]}",
        lambda path: "_".join([*path.parts[1:-1], path.stem, path.suffix[1:]]),
    ]
    stems = [path.stem.lower() for path in resolved]
    for name in candidates:
        # Compared in lower case: to some file systems A.png and a.png are one file.
        names = [
            name(path) if stems.count(stem) > 1 else path.stem
            for path, stem in zip(resolved, stems, strict=True)
        ]
        if len({n.lower() for n in names}) == len(names):
            return names
    raise ConfigError(
        "photos with the same name get the same result files, whatever folder they are in; rename "
        "the photos, or use another --out for each"
    )


def refuse_overwriting(results: Sequence[dict[str, Path]], used: Sequence[Path]) -> None:
    """Checks that no result file is one of the ``used`` photos and masks.

    Raises:
        ConfigError: a result would overwrite one of them.
    """
    inputs = {path.resolve(): path for path in used}
    for files in results:
        for file in files.values():
            if file.resolve() in inputs:
                raise ConfigError(
                    f"{inputs[file.resolve()]}: would be overwritten by a result; give another "
                    "--out"
                )
