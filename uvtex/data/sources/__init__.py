"""What people bring to be imported, read as it is: our manifest, a CSV, or an earlier script's.

A reader opens no picture and writes nothing. Whatever it cannot use it hands back with the reason;
it raises only when there is nothing to read at all.
"""

from uvtex.data.sources.choosing import read
from uvtex.data.sources.found import Candidate, Kind, Source, StandIn, Unusable
from uvtex.data.sources.own import lenient

__all__ = ["Candidate", "Kind", "Source", "StandIn", "Unusable", "lenient", "read"]
