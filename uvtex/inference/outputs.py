"""What the results of photos are called, so that none overwrites another, nor a photo."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from uvtex.errors import ConfigError

ENDINGS = {
    "texture": "uv.png",
    "reprojection": "reproj.png",
    "view": "view.png",
    "record": "infer.json",
}
"""Of the files that each photo gets."""


def result_files(out: Path, name: str) -> dict[str, Path]:
    """The files of one photo's results: kind -> file."""
    return {kind: out / f"{name}_{ending}" for kind, ending in ENDINGS.items()}


def distinct_names(photos: Sequence[Path]) -> list[str]:
    """A name for each photo's results: its stem, and what else is needed to tell two apart.

    Raises:
        ConfigError: one photo is given twice, or no name tells two apart.
    """
    resolved = [photo.resolve() for photo in photos]
    twice = sorted({str(p) for p, r in zip(photos, resolved, strict=True) if resolved.count(r) > 1})
    if twice:
        raise ConfigError(
            f"{', '.join(twice)}: given twice; its results would overwrite each other"
        )
    candidates: list[Callable[[Path], str]] = [
        lambda path: path.stem,
        lambda path: f"{path.parent.name}_{path.stem}",
        lambda path: f"{path.parent.name}_{path.stem}_{path.suffix[1:]}",
        lambda path: "_".join([*path.parts[1:-1], path.stem, path.suffix[1:]]),
    ]
    stems = [path.stem.lower() for path in resolved]
    for name in candidates:
        # Lower case: some file systems take A.png and a.png for one file.
        names = [
            name(path) if stems.count(stem) > 1 else path.stem
            for path, stem in zip(resolved, stems, strict=True)
        ]
        if len({n.lower() for n in names}) == len(names):
            return names
    raise ConfigError(
        "photos of one name cannot be told apart by their folders; rename them, or use another "
        "--out for each"
    )


def refuse_overwriting(results: Sequence[dict[str, Path]], used: Sequence[Path]) -> None:
    """Checks that no result lies where a photo or a mask does.

    Raises:
        ConfigError: one does.
    """
    inputs = {path.resolve(): path for path in used}
    for files in results:
        for file in files.values():
            if file.resolve() in inputs:
                raise ConfigError(
                    f"{inputs[file.resolve()]}: would be overwritten by a result; choose another "
                    "--out"
                )
