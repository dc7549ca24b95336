"""What the predictor knows of a view's camera. The renderer takes it as input."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class CameraEstimate(NamedTuple):
    """The camera and the pose of each view of a batch, from a predictor that knows the cameras.

    A view is a picture from one of the set's cameras, moved in the frame by ``pose``. A point ``p``
    of the camera's picture lies at ``pose @ (p, 1)`` in the view, in grid_sample's coordinates.
    Without a pose, the view is the camera's picture unmoved.
    """

    scores: Tensor  # [B, K] logits over the set's cameras
    camera: Tensor  # int64 [B], the camera with the highest score
    pose: Tensor | None  # [B, 2, 3]
    flow: Tensor  # [B, 2, S, S] in [-1, 1]: where each texel is seen in the view

    def half(self, number: int) -> CameraEstimate:
        """The first (0) or the second (1) half of a batch of two halves."""
        scores, camera, flow = (x.chunk(2)[number] for x in (self.scores, self.camera, self.flow))
        pose = None if self.pose is None else self.pose.chunk(2)[number]
        return CameraEstimate(scores, camera, pose, flow)


class CameraCode(NamedTuple):
    """A learnt description of each view's camera, from a predictor that knows no cameras."""

    code: Tensor  # [B, C] in [-1, 1]

    def half(self, number: int) -> CameraCode:
        """The first (0) or the second (1) half of a batch of two halves."""
        return CameraCode(self.code.chunk(2)[number])
