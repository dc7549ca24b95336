"""The predictor and the renderer of preset ``atlas``, which use the set's known cameras.

No network here moves pixels by convolution. The predictor works in six steps:

1. It classifies which of the set's cameras took the view, and estimates the pose of the picture in
   the frame. CMR (Kanazawa et al. 2018) also chooses among poses.
2. It removes the light, by the plate of that camera.
3. It samples the paint into the atlas, by the exact flow of that camera.
4. It sharpens the texture by a fixed number of iterations that bring the rendered view closer to
   the view (Landweber 1951). The normalised gather replaces the adjoint, as in SIRT (Gilbert 1972).
5. It gives each unseen texel the colours of seen texels that the training liveries paint alike.
6. It corrects the result by a small network in texture space, the refiner.

Several views of one livery are combined after step 2, and mended once: see
:mod:`uvtex.models.evidence`.

The renderer evaluates the formula of the plate. It has nothing to learn, so a hidden code in the
texture cannot help the predictor (Chu et al. 2017).
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uvtex.imaging.affine import inverse, transform, warp
from uvtex.imaging.camera_bank import CameraBank, decode
from uvtex.imaging.full_size import ViewGeometry
from uvtex.models import evidence
from uvtex.models.base import Predictor, Renderer
from uvtex.models.camera_estimate import CameraCode, CameraEstimate
from uvtex.models.cameras import Cameras
from uvtex.models.layers import group_norm, scaled
from uvtex.models.refiner import TextureRefiner, bounded

PLACES = 8
"""Channels of the learnt position embedding of the atlas, an input of the refiner."""
POSE_SIZE = 32
"""Side, in pixels, of the pose network's input. The silhouette shows at any size."""


class PoseFinder(nn.Module):
    """Views [B, 3, S, S] to logits over the cameras [B, K] and the pose in the frame [B, 2, 3].

    Args:
        cameras: K, the number of cameras.
        width: scales the channels.
        moves: whether pictures may be moved in the frame. If not, the pose is None.
    """

    still: Tensor  # [2, 3] the pose of a picture that is not moved

    def __init__(self, cameras: int, width: float, moves: bool) -> None:
        super().__init__()
        c = [3, *(scaled(n, width) for n in (64, 128, 128))]
        layers: list[nn.Module] = []
        for i in range(3):
            layers += [nn.Conv2d(c[i], c[i + 1], 4, stride=2, padding=1), group_norm(c[i + 1])]
            layers += [nn.ReLU()]
        self.features = nn.Sequential(*layers)
        self.camera = nn.Linear(c[3] * 16, cameras)
        self.pose = nn.Linear(c[3] * 16, 6) if moves else None
        for parameter in () if self.pose is None else self.pose.parameters():
            nn.init.zeros_(parameter)
        # A buffer, because a tensor made at each step would make the GPU wait for its transfer.
        self.register_buffer("still", torch.eye(2, 3), persistent=False)

    def forward(self, view: Tensor) -> tuple[Tensor, Tensor | None]:
        small = F.interpolate(view, (POSE_SIZE, POSE_SIZE), mode="bilinear", antialias=True)
        features = self.features(small).flatten(1)
        scores = self.camera(features).float()
        if self.pose is None:
            return scores, None
        # The factor 0.1 keeps a step of the optimiser from moving the picture far.
        pose = self.still + 0.1 * self.pose(features).float().reshape(-1, 2, 3)
        return scores, pose


class AtlasPredictor(Predictor):
    """View to texture, by the set's known cameras.

    Args:
        bank: the set's camera bank.
        width: scales the channels.
        moves: whether views may be camera pictures that were moved in the frame.
        depth: factor on the number of the refiner's residual blocks.
    """

    def __init__(
        self, bank: CameraBank, width: float = 1.0, moves: bool = False, depth: int = 1
    ) -> None:
        super().__init__()
        self.cameras = Cameras(bank)
        self.pose = PoseFinder(len(bank.flow), width, moves)
        self.place = nn.Parameter(torch.zeros(1, PLACES, *bank.flow.shape[2:]))
        self.mend = TextureRefiner(evidence.CHANNELS + PLACES, width, depth)

    @property
    def known_texels(self) -> Tensor | None:
        fixed = self.cameras.fixed
        return fixed if bool(fixed.any()) else None

    def estimate_camera(self, view: Tensor) -> CameraEstimate:
        """The camera, the pose and the flow of the views [B, 3, S, S]."""
        scores, pose = self.pose(view)
        camera = scores.argmax(dim=1)
        flow = self.cameras.flow[camera]
        return CameraEstimate(scores, camera, pose, flow if pose is None else transform(flow, pose))

    def clip_gradients(self) -> None:
        self.mend.clip_gradients()

    def predict(self, view: Tensor) -> tuple[Tensor, CameraEstimate]:
        return self.fuse(view[:, None])

    def fuse(self, views: Tensor, counted: Tensor | None = None) -> tuple[Tensor, CameraEstimate]:
        estimate = self.estimate_camera(views.flatten(0, 1))
        return self._mended(self._evidence(views, estimate, counted)), estimate

    def evidence_of(self, views: Tensor) -> Tensor:
        """The evidence of views [B, V, 3, S, S]: see :mod:`uvtex.models.evidence`."""
        return self._evidence(views, self.estimate_camera(views.flatten(0, 1)))

    def _evidence(
        self, views: Tensor, estimate: CameraEstimate, counted: Tensor | None = None
    ) -> Tensor:
        count = views.shape[1]
        with torch.autocast(views.device.type, enabled=False):
            straight = _straight(views.flatten(0, 1), estimate)
            if count == 1:
                return evidence.of_view(self.cameras, straight, estimate.camera)
            camera = evidence.grouped(estimate.camera, count)
            several = evidence.grouped(straight, count)
            return evidence.of_views(self.cameras, several, camera, counted)

    def texels_of(self, views: Tensor) -> tuple[Tensor, Tensor]:
        estimate = self.estimate_camera(views)
        return evidence.shown(self.cameras, _straight(views, estimate), estimate.camera)

    @property
    def knows_geometry(self) -> bool:
        return True

    def geometry(self, views: Tensor) -> list[ViewGeometry]:
        estimate = self.estimate_camera(views)
        still = torch.eye(2, 3).repeat(len(views), 1, 1)
        poses = (still if estimate.pose is None else estimate.pose).double().cpu().numpy()
        return [*map(self._geometry, estimate.camera.tolist(), poses)]

    def still_cameras(self) -> list[ViewGeometry]:
        if self.pose.pose is not None:
            return []
        return [self._geometry(k, np.eye(2, 3)) for k in range(len(self.cameras.flow))]

    def _geometry(self, camera: int, pose: np.ndarray) -> ViewGeometry:
        cameras = self.cameras
        paint, *lights = cameras.finest(camera)
        falling, reflected, share = (x.permute(1, 2, 0).cpu().numpy() for x in lights)
        trust = None if cameras.trust is None else cameras.trust[camera, 0].cpu().numpy()
        return ViewGeometry(decode(paint), falling, reflected, share[..., 0], pose, trust)

    def groundless(self, views: Tensor) -> Tensor:
        return evidence.groundless(self.cameras, self.estimate_camera(views).camera)

    def _mended(self, known: Tensor) -> Tensor:
        place = self.place.expand(known.shape[0], -1, -1, -1)
        residual = self.mend(torch.cat([known, place], 1)).float()
        return bounded(known[:, :3] + residual)


def _straight(view: Tensor, estimate: CameraEstimate) -> Tensor:
    """The views [B, 3, S, S] moved back to where their cameras took them. Without gradient."""
    straight = view.detach().float()
    return straight if estimate.pose is None else warp(straight, estimate.pose.detach())


class PlateRenderer(Renderer):
    """The exact renderer: it composes a camera's plate with the texture.

    It then moves the picture in the frame by the view's pose.
    """

    def __init__(self, cameras: Cameras) -> None:
        super().__init__()
        # A tuple hides the module from torch. The predictor holds it, in the checkpoint too.
        self._cameras = (cameras,)

    def forward(self, texture: Tensor, camera: CameraEstimate | CameraCode | None = None) -> Tensor:
        if not isinstance(camera, CameraEstimate):
            raise ValueError("the exact renderer needs a camera estimate")
        views = camera.camera.shape[0]
        with torch.autocast(texture.device.type, enabled=False):
            several = texture.float().reshape(-1, views, *texture.shape[1:]).transpose(0, 1)
            pictures = self._cameras[0].render(several, camera.camera)
            if camera.pose is not None:
                moved_back = warp(pictures.flatten(1, 2), inverse(camera.pose))
                pictures = moved_back.reshape(pictures.shape)
            return pictures.transpose(0, 1).flatten(0, 1)
