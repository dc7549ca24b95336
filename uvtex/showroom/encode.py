"""Arrays as the bytes of files; the same array gives the same bytes."""

from __future__ import annotations

import io
from typing import Any


def png(pixels: Any) -> bytes:
    """``pixels`` uint8 [h, w] or [h, w, 3] as PNG."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png")
    return file.getvalue()


def npz(**arrays: Any) -> bytes:
    """Named ``arrays`` as a compressed ``.npz``."""
    import numpy as np

    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()
