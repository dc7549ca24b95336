"""Which photos of a livery have a part in its texture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from uvtex.errors import DataError
from uvtex.imaging.agreement import agreement, compare
from uvtex.inference.infer import as_views
from uvtex.inference.photos import Photo
from uvtex.inference.placement import NOT_PLACED, USED_AS_IT_LIES, not_placed
from uvtex.models import Predictor
from uvtex.models.evidence import by_sharpness

CONTRADICTS = "contradicts the other photos, as if it showed another livery"
UNCHECKED = (
    "shows too few texels that another photo shows: whether it is the same livery was not checked"
)
LITTLE = 0.5
"""What a photo counts, of 1, below which a user is told."""
NOT_COMPARED = (
    "this preset does not know which texels a photo sees: whether the photos show one livery was "
    "not checked, and the texture is the mean of one texture for each photo"
)


@dataclass
class Choice:
    """The photos that have a part in a texture, by their number."""

    kept: list[int]
    left_out: dict[str, str] = field(default_factory=dict)
    """Photo -> why it has no part."""
    warnings: list[str] = field(default_factory=list)

    def leave_out(self, reasons: dict[int, tuple[str, str]]) -> None:
        """Leaves out photos: number -> the photo, and why."""
        self.left_out |= dict(reasons.values())
        self.kept = [number for number in self.kept if number not in reasons]


def worth(photos: Sequence[Photo]) -> torch.Tensor:
    """How much photos of one texture count by their sharpness, [V] in (0, 1], the sharpest one 1.

    A photo that was not registered counts as a sharp one.
    """
    blurs = [0.0 if p.placement is None else p.placement.blur * len(p.view) / 2 for p in photos]
    return by_sharpness(torch.tensor(blurs))


def choose(
    livery: str,
    photos: Sequence[Photo],
    predictor: Predictor,
    device: torch.device,
    keep_all: bool = False,
) -> Choice:
    """The photos that can show one livery, and lie as their cameras saw it.

    A photo that could not be registered is left out if another one lies right. Copies of a photo
    are left out too.

    Args:
        keep_all: only copies are left out.

    Raises:
        DataError: they lie right and contradict each other, and no group is larger than all others
            together.
    """
    choice = Choice([*range(len(photos))])
    choice.leave_out(_copies(photos))
    _leave_out_not_placed(choice, photos, keep_all)
    _leave_out_others(choice, livery, photos, predictor, device, keep_all)
    return choice


def _copies(photos: Sequence[Photo]) -> dict[int, tuple[str, str]]:
    """The photos that show the very same view as an earlier one."""
    first: dict[bytes, Photo] = {}
    found = {}
    for number, photo in enumerate(photos):
        earlier = first.setdefault(photo.view.tobytes(), photo)
        if earlier is not photo:
            found[number] = (str(photo.path), f"is the same picture as {earlier.path}")
    return found


def _leave_out_not_placed(choice: Choice, photos: Sequence[Photo], keep_all: bool) -> None:
    """Leaves out the photos without a place if any other has one. Else it warns."""
    lost = [number for number in choice.kept if not_placed(photos[number])]
    if not keep_all and len(lost) < len(choice.kept):
        why = f"{NOT_PLACED} (--keep-all uses it as it lies)"
        choice.leave_out({n: (str(photos[n].path), why) for n in lost})
    else:
        choice.warnings += [f"{photos[n].path}: {NOT_PLACED}; {USED_AS_IT_LIES}" for n in lost]


def _leave_out_others(
    choice: Choice,
    livery: str,
    photos: Sequence[Photo],
    predictor: Predictor,
    device: torch.device,
    keep_all: bool,
) -> None:
    """Leaves out the photos that contradict the others. It warns where that was not checked."""
    kept = choice.kept
    with torch.no_grad():
        shown = predictor.texels_of(as_views([photos[i] for i in kept], device))
    if shown is None:
        if len(kept) > 1:
            choice.warnings.append(NOT_COMPARED)
        return
    found = agreement(*compare(*shown))
    paths = [str(photos[i].path) for i in kept]
    unchecked = found.unchecked if len(kept) > 1 else []
    choice.warnings += [f"{paths[i]}: {UNCHECKED}" for i in unchecked]
    if not found.groups:
        return
    named = " | ".join(", ".join(paths[i] for i in group) for group in found.groups)
    if keep_all:
        choice.warnings.append(f"the photos contradict each other: {named}")
        return
    if found.undecided and any(not_placed(photos[i]) for i in kept):
        choice.warnings.append(
            f"the photos contradict each other: {named}; as none of them could be registered, this "
            "may be how they lie or another livery, and all are used"
        )
        return
    if found.undecided:
        raise DataError(
            f"{livery}: these photos contradict each other, as if they showed several "
            f"liveries: {named}; give the photos of one livery, or --keep-all to use all of them; "
            "nothing was written"
        )
    choice.leave_out({kept[i]: (paths[i], CONTRADICTS) for i in found.odd})
