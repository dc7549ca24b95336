"""The showroom: a race car, liveries without end, and path traced pictures of them."""

from uvtex.showroom.build import build
from uvtex.showroom.settings import CarSettings, Pose, ShowroomSettings

__all__ = ["CarSettings", "Pose", "ShowroomSettings", "build"]
