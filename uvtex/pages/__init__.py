"""Pages: one HTML file for each report, made by Jinja2 from a template.

A template ``{% extends "base.html" %}`` and takes the parts of a page from ``macros.html``. Both
stand in this package; the template of a report stands in the package of that report. Values are
escaped unless they are :class:`markupsafe.Markup`, and a name that is not defined is an error.
"""

from __future__ import annotations

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined


def render(package: str, template: str, **values: object) -> str:
    """The page that a template makes of ``values``.

    Args:
        package: the package whose folder holds the template.
        template: the template's file name.

    Raises:
        jinja2.UndefinedError: the template uses a name that is not among ``values``.
    """
    folders = [PackageLoader(name, ".") for name in (package, "uvtex.pages")]
    environment = Environment(
        loader=ChoiceLoader(folders),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "count": count}
    return environment.get_template(template).render(**values)


def percent(share: float) -> str:
    """A share in [0, 1] as a percentage, with a decimal below ten percent."""
    return f"{share:.1%}" if 0 < share < 0.1 else f"{share:.0%}"


def count(number: int, one: str, many: str | None = None) -> str:
    """A number with its noun: ``1 view``, ``1,200 views``.

    Args:
        one: the noun's singular.
        many: the noun's plural; the singular and an ``s`` if it is not given.
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"
