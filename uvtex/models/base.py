"""What every predictor and every renderer promises."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

if TYPE_CHECKING:
    from uvtex.models.camera_estimate import CameraEstimate


class Predictor(nn.Module):
    """View to UV texture.

    Invariants: views and textures are [B, 3, S, S] in [-1, 1]; in evaluation mode an image's
    answer does not depend on the others of its batch; ``forward`` is ``predict`` less the sight.
    """

    normalises_over_batch = False
    """In training an image's answer depends on its batch, as BatchNorm's does; such a predictor
    tells of no camera."""

    @property
    def known_texels(self) -> Tensor | None:
        """Constant texels that the predictor knows: [4, S, S], colour in [-1, 1] and 1, else 0.

        None where it knows none.
        """
        return None

    def predict(self, view: Tensor) -> tuple[Tensor, CameraEstimate | None]:
        """The texture, and what was found out about the camera, by a predictor that tells."""
        raise NotImplementedError

    def predict_separately(self, *views: Tensor) -> tuple[Tensor, ...]:
        """The texture of each of ``views``, in their order, as ``forward`` one by one gives them;
        a network that normalises over a batch may know how to make them at once."""
        return tuple(self(view) for view in views)

    def clip_gradients(self) -> None:
        """Called before each step of the optimiser: what would throw the network off is cut."""

    def estimate_camera(self, view: Tensor) -> CameraEstimate | None:
        """What ``predict`` finds out about the camera, alone."""
        return None

    def forward(self, view: Tensor) -> Tensor:
        return self.predict(view)[0]


class Renderer(nn.Module):
    """UV texture to view, both [B, 3, S, S] in [-1, 1]; normalises nothing over a batch."""

    def forward(self, texture: Tensor, sight: CameraEstimate | None = None) -> Tensor:
        """``sight`` is of the views to be shown, where the predictor tells it.

        For a sight of B views there may be n * B textures: B to be shown so, B more, and so on.
        """
        raise NotImplementedError
