"""Settings of a showroom data set. Importing this loads neither torch nor the path tracer."""

from __future__ import annotations

from pydantic import Field

from uvtex.config import Settings


class ShowroomSettings(Settings):
    """Everything that decides the files of a showroom data set."""

    size: int = Field(default=256, ge=16, le=2048)
    """Side of a view, pixels."""
    texture_size: int = Field(default=256, ge=16, le=4096)
    """Side of a livery's texture, texels."""
    cameras: int = Field(default=16, ge=1, le=999)
    liveries: int = Field(default=64, ge=1, le=99_999)
    samples: int = Field(default=64, ge=1, le=65_536)
    """Paths a pixel, for each of a camera's two renders."""
    supersample: int = Field(default=3, ge=1, le=8)
    """The UV map has so many samples a pixel along each side."""
    seed: int = Field(default=0, ge=0, lt=2**31)
