"""What the predictor knows of a view's camera. The renderer takes it as input."""

from __future__ import annotations

from typing import NamedTuple

import torch
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

    def every(self, count: int) -> CameraEstimate:
        """The first of each ``count`` views in a row."""
        scores, camera, flow = (x[::count] for x in (self.scores, self.camera, self.flow))
        return CameraEstimate(
            scores, camera, None if self.pose is None else self.pose[::count], flow
        )

    def then(self, other: CameraEstimate) -> CameraEstimate:
        """These views, and then those of ``other``, which has poses if these have."""
        scores, camera, flow = (
            torch.cat(pair)
            for pair in (
                (self.scores, other.scores),
                (self.camera, other.camera),
                (self.flow, other.flow),
            )
        )
        poses = [pose for pose in (self.pose, other.pose) if pose is not None]
        return CameraEstimate(scores, camera, torch.cat(poses) if poses else None, flow)


class CameraCode(NamedTuple):
    """A learnt description of each view's camera, from a predictor that knows no cameras."""

    code: Tensor  # [B, C] in [-1, 1]

    def half(self, number: int) -> CameraCode:
        """The first (0) or the second (1) half of a batch of two halves."""
        return CameraCode(self.code.chunk(2)[number])

    def every(self, count: int) -> CameraCode:
        """The first of each ``count`` views in a row."""
        return CameraCode(self.code[::count])

    def then(self, other: CameraCode) -> CameraCode:
        """These views, and then those of ``other``."""
        return CameraCode(torch.cat([self.code, other.code]))
