"""The predictor's estimate of a view's camera. The renderer takes it as input."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class CameraEstimate(NamedTuple):
    """The camera and the pose of each view of a batch.

    A view is a picture from one of the set's cameras, moved in the frame by ``pose``. A point ``p``
    of the camera's picture lies at ``pose @ (p, 1)`` in the view, in grid_sample's coordinates.
    Without a pose, the view is the camera's picture unmoved. A predictor that knows no cameras
    gives its camera code as the scores, and None as the camera.
    """

    scores: Tensor  # [B, K] logits over the set's cameras, or a code
    camera: Tensor | None  # int64 [B], the best of the set's cameras
    pose: Tensor | None  # [B, 2, 3]
    flow: Tensor  # [B, 2, S, S] in [-1, 1]: where each texel is seen in the view

    def half(self, number: int) -> CameraEstimate:
        """The first (0) or the second (1) half of a batch of two halves."""
        camera, pose = (None if x is None else x.chunk(2)[number] for x in (self.camera, self.pose))
        return CameraEstimate(
            self.scores.chunk(2)[number], camera, pose, self.flow.chunk(2)[number]
        )
