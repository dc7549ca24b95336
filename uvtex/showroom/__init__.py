"""The showroom: rendered data sets of a race car in many liveries.

``uvtex.showroom.build.build`` makes a set. It is not imported here: the command line needs only the
settings for its help, and they load neither numpy nor torch.
"""

from uvtex.showroom.settings import CarSettings, Pose, ShowroomSettings

__all__ = ["CarSettings", "Pose", "ShowroomSettings"]
