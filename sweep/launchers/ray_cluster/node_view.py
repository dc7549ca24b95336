"""What a node sees of a study: the folder that all nodes share, and the data set."""

from __future__ import annotations

import os
import platform
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

from sweep.launchers.ray_cluster.node_data import cached
from sweep.study.data_identity import inventory
from uvtex.errors import UvtexError

MEETING = ".nodes"
"""Folder in a study's folder in which its driver and the nodes write to each other."""


@dataclass(frozen=True)
class Question:
    """What a driver wants to know of a node. All paths are absolute."""

    folder: str
    """The study's folder."""
    secret: str
    """What the driver wrote to the file ``question`` of the meeting folder."""
    data: str
    """Folder of the data set on the driver's machine."""
    digest: str
    """:func:`sweep.study.data_identity.inventory` of the data set."""
    files: tuple[str, ...]
    """Other files that a worker reads."""
    content: str | None = None
    """Hash of the data set's content; None if it is not known yet."""


@dataclass(frozen=True)
class Seen:
    """A node's answer."""

    host: str
    node: str
    """Ray's name for the node."""
    answer: str
    """Name of the file in which it repeated the secret."""
    problem: str | None
    """Why no worker can run there, with the path; None if one can."""
    data: str | None
    """Folder in which the node has the data set; None if it lacks it."""


def look(question: Question) -> Seen:
    """Answers a question on this node, by reading and writing."""
    import ray

    node = ray.get_runtime_context().get_node_id()
    answer = f"answer-{secrets.token_hex(8)}"
    problem = _unshared(question, answer) or _missing(question)
    data = None if problem else _data(question)
    return Seen(platform.node(), node, answer, problem, data)


def ask(folder: Path) -> str:
    """Writes the question file into a study's folder. Returns the secret."""
    secret = secrets.token_hex(16)
    meeting = folder / MEETING
    meeting.mkdir(parents=True, exist_ok=True)
    (meeting / "question").write_text(secret)
    return secret


def forget(folder: Path) -> None:
    """Removes the meeting folder."""
    shutil.rmtree(folder / MEETING, ignore_errors=True)


def answered(folder: Path, seen: Seen, secret: str) -> bool:
    """Whether the driver sees the file in which a node repeated the secret. Removes it."""
    answer = folder / MEETING / seen.answer
    try:
        found = answer.read_text()
        answer.unlink()
    except OSError:
        return False
    return found == secret


def _unshared(question: Question, answer: str) -> str | None:
    meeting = Path(question.folder) / MEETING
    try:
        found = (meeting / "question").read_text()
    except OSError as error:
        return f"cannot read the study's folder {question.folder} ({error.strerror})"
    if found != question.secret:
        return f"has another folder of the name {question.folder}"
    try:
        (meeting / answer).write_text(found)
    except OSError as error:
        return f"cannot write to the study's folder {question.folder} ({error.strerror})"
    return None


def _missing(question: Question) -> str | None:
    missing = [file for file in question.files if not os.path.isfile(file)]
    return f"has no file {missing[0]}" if missing else None


def _data(question: Question) -> str | None:
    for folder in (question.data, cached(question.content) if question.content else None):
        try:
            if folder is not None and inventory(Path(folder)) == question.digest:
                return str(folder)
        except (OSError, UvtexError):
            continue
    return None
