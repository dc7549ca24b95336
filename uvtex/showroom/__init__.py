"""The showroom: a race car, liveries without end, and path traced pictures of them."""

from uvtex.showroom.build import build
from uvtex.showroom.settings import ShowroomSettings

__all__ = ["ShowroomSettings", "build"]
