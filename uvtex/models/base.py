"""The base classes of predictors and of renderers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

if TYPE_CHECKING:
    from uvtex.imaging.full_size import ViewGeometry
    from uvtex.models.camera_estimate import CameraCode, CameraEstimate


class Predictor(nn.Module):
    """View to UV texture.

    Views and textures are [B, 3, S, S] in [-1, 1]. In evaluation mode the result for an image does
    not depend on the other images of its batch. ``forward`` returns the texture of ``predict``
    without the camera estimate.
    """

    normalises_over_batch = False
    """Whether in training the result for an image depends on its batch, as with BatchNorm.

    Such a predictor gives neither a camera estimate nor a camera code.
    """

    @property
    def known_texels(self) -> Tensor | None:
        """The constant texels that the predictor knows: [4, S, S]. None if it knows none.

        A known texel holds its colour in [-1, 1], then 1. Every other texel holds 0.
        """
        return None

    def predict(self, view: Tensor) -> tuple[Tensor, CameraEstimate | CameraCode | None]:
        """The texture, and the camera: an estimate, a code, or None without either."""
        raise NotImplementedError

    def fuse(
        self, views: Tensor, counted: Tensor | None = None
    ) -> tuple[Tensor, CameraEstimate | CameraCode | None]:
        """One texture of each livery, from V views of it, and the camera of each view.

        A network that keeps no evidence of its views takes the mean of their textures.

        Args:
            views: [B, V, 3, S, S]. A view may occur twice.
            counted: [B, V], how much the views count, 0 to 1, at least one of each livery more
                than 0. Those of 0 change nothing in the texture. None: all count 1.

        Returns:
            The textures [B, 3, S, S], and the cameras of the B * V views, those of a livery in a
            row.
        """
        textures, camera = self.predict(views.flatten(0, 1))
        each = textures.reshape(*views.shape[:2], *textures.shape[1:])
        if counted is None:
            return each.mean(dim=1), camera
        share = counted / counted.sum(dim=1, keepdim=True)
        return (each * share[:, :, None, None, None]).sum(dim=1), camera

    def texels_of(self, views: Tensor) -> tuple[Tensor, Tensor] | None:
        """What each view [V, 3, S, S] shows of each texel, and how well.

        Colours are [V, 3, S, S] in [-1, 1], weights [V, 1, S, S], 0 for a texel that the view does
        not see. None from a network that does not know which texels a view sees.
        """
        return None

    @property
    def knows_geometry(self) -> bool:
        """Whether :meth:`geometry` and :meth:`groundless` can be called."""
        return False

    def geometry(self, views: Tensor) -> list[ViewGeometry]:
        """What the network knows of each view [V, 3, S, S]: its UV map and its light."""
        raise NotImplementedError

    def still_cameras(self) -> list[ViewGeometry]:
        """What the network knows of each of its cameras, in the order of ``estimate_camera``.

        Empty from a network that knows no geometry, or estimates how a view is moved in the frame.
        """
        return []

    def groundless(self, views: Tensor) -> Tensor:
        """Texels that no view shows and no seen texel resembles: bool [S, S]."""
        raise NotImplementedError

    def predict_separately(self, *views: Tensor) -> tuple[Tensor, ...]:
        """The textures of ``views``, in their order, equal to one ``forward`` call for each.

        A network that normalises over a batch may override this to use one batch for all.
        """
        return tuple(self(view) for view in views)

    def clip_gradients(self) -> None:
        """Clips gradients that are too large. Called before each step of the optimiser."""

    def estimate_camera(self, view: Tensor) -> CameraEstimate | None:
        """The camera estimate of ``predict``, without the texture. None if it gives none."""
        return None

    def forward(self, view: Tensor) -> Tensor:
        return self.predict(view)[0]


class Renderer(nn.Module):
    """UV texture to view, both [B, 3, S, S] in [-1, 1].

    A renderer normalises nothing over a batch.
    """

    def forward(self, texture: Tensor, camera: CameraEstimate | CameraCode | None = None) -> Tensor:
        """The views of ``texture``.

        Args:
            texture: n * B textures, in n groups of B. Texture i of each group is rendered with
                camera i.
            camera: the camera estimate or the camera code of B views, as ``predict`` gives it.

        Raises:
            ValueError: ``camera`` is not of the type that this renderer needs.
        """
        raise NotImplementedError
