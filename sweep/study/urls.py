"""URLs of databases and servers: variables of the environment in them, and their passwords.

A study keeps the text that its file gives, such as ``postgresql://uvtex:${DATABASE_PASSWORD}@host/
optuna``. The password is filled in where a connection is opened, and nowhere else. So nothing that
is saved, shown or sent to MLflow holds one. :func:`masked` is for the texts of others, such as the
errors of a database.
"""

from __future__ import annotations

import os
import re
from typing import Annotated
from urllib.parse import quote

from pydantic import PlainSerializer

from uvtex.errors import ConfigError

MASK = "***"

_VARIABLE = re.compile(r"\$\{([A-Za-z_]\w*)\}")
# `//user:` and a password up to the last @. A port is no password: `//host:5000/page@2`.
_IN_AUTHORITY = re.compile(r"(://[^\s/?#:@'\"]*:)(?!\d{1,5}[/?#])([^\s'\"]+)(?=@)")
_IN_QUERY = re.compile(r"([?&](?:password|passwd|pwd|sslpassword|token)=)([^\s&'\"]+)", re.I)


def masked(text: str) -> str:
    """``text`` with ``***`` in place of each password in a URL.

    References such as ``${DATABASE_PASSWORD}`` stay.
    """
    for pattern in (_IN_AUTHORITY, _IN_QUERY):
        text = pattern.sub(lambda found: found[1] + _mask(found[2]), text)
    return text


def _mask(password: str) -> str:
    return password if _VARIABLE.fullmatch(password) else MASK


def resolved(url: str, setting: str) -> str:
    """``url`` with the values of the variables that it names. To be opened, never to be shown.

    A value in the place of a user's name or password may hold any character.

    Args:
        setting: the setting that gives the URL, for the message.

    Raises:
        ConfigError: the environment lacks a variable.
    """

    def value(found: re.Match[str]) -> str:
        name = found[1]
        if name not in os.environ:
            raise ConfigError(
                f"{setting}: {masked(url)!r} refers to the environment variable {name}, which is "
                f"not set; set it, for example with `export {name}=...`"
            )
        before, after = url[: found.start()], url[found.end() :]
        is_login = re.search(r"://[^/?#@]*$", before) and re.match(r"[^/?#]*@", after)
        return quote(os.environ[name], safe="") if is_login else os.environ[name]

    return _VARIABLE.sub(value, url)


def login_problem(url: str) -> str | None:
    """Why MLflow may not be given this server's address: it holds a password. None if it may.

    MLflow prints the addresses of runs with all that the server's address holds.
    """
    if not url.startswith(("http://", "https://")) or not _IN_AUTHORITY.search(url):
        return None
    return (
        f"{masked(url)!r} holds a password; remove user and password from the address, and set "
        "the environment variables MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
    )


def problem(url: str) -> str | None:
    """Why a study file may not give this URL: it holds a password. None if it may."""
    if (found := login_problem(url)) is not None:
        return found
    if masked(url) != url:
        return (
            f"{masked(url)!r} holds a password, which would be saved with the study; put it into "
            "an environment variable and write ${NAME} in its place"
        )
    return None


Url = Annotated[str, PlainSerializer(masked)]
"""A URL of a study's settings. Settings of earlier versions may hold a password: it is masked
wherever they are saved or shown."""
