"""Readers of the formats that can be imported: manifest.json, CSV, and an earlier metadata.json.

A reader opens no picture and writes nothing. It returns each record that it cannot use with the
reason. It raises an error only where the source as a whole cannot be read.
"""

from uvtex.intake.sources.candidates import Candidate, Kind, Source, StandIn, Unusable
from uvtex.intake.sources.formats import read
from uvtex.intake.sources.manifest_json import lenient

__all__ = ["Candidate", "Kind", "Source", "StandIn", "Unusable", "lenient", "read"]
