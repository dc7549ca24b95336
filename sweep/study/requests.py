"""What another command asks the driver of a study: a file in the study's folder.

The driver reads it twice a second. So a request also reaches a driver on another host, where the
store is shared.
"""

from __future__ import annotations

from typing import Literal

from pydantic import ValidationError

from sweep.study.folder import StudyFolder
from uvtex.files import write_atomic
from uvtex.settings import Settings

REQUEST = "request.json"
"""The file's name in the study's folder."""

Ask = Literal["pause", "stop", "stop now"]


class Request(Settings):
    """What is asked."""

    ask: Ask
    """``pause``: every run ends after its epoch, and no other starts until the request is taken
    back. ``stop``: the same, and the driver ends. ``stop now``: it does not wait for the epoch."""
    since: str
    """When it was asked, in ISO 8601."""


def write_request(paths: StudyFolder, request: Request) -> None:
    """Asks the study's driver. An earlier request is replaced."""
    write_atomic(paths.folder / REQUEST, (request.model_dump_json() + "\n").encode())


def read_request(paths: StudyFolder) -> Request | None:
    """What is asked; None if nothing is."""
    try:
        return Request.model_validate_json((paths.folder / REQUEST).read_bytes())
    except (OSError, ValidationError):
        return None


def withdraw_request(paths: StudyFolder) -> None:
    """Takes the request back, if there is one."""
    (paths.folder / REQUEST).unlink(missing_ok=True)
