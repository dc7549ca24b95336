"""What people bring to be imported, read as it is: our manifest, a CSV, or an earlier script's.

A reader opens no picture and writes nothing. Whatever it cannot use it hands back with the reason;
it raises only when there is nothing to read at all.
"""

from uvtex.intake.sources.candidates import Candidate, Kind, Source, StandIn, Unusable
from uvtex.intake.sources.formats import read
from uvtex.intake.sources.manifest_json import lenient

__all__ = ["Candidate", "Kind", "Source", "StandIn", "Unusable", "lenient", "read"]
