"""Labelled pictures of validation samples, as a checkpoint predicts and renders them."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from uvtex.data.batch import Batch
from uvtex.data.store import PairStore
from uvtex.files import make_folder, write_atomic
from uvtex.metrics.per_sample import texture_columns
from uvtex.models.forward import forward
from uvtex.runs import checkpoint

TILE = 192
STRIP = 22


def write_grids(path: Path, folder: Path, out: Path, count: int) -> list[Path]:
    """Writes ``sample_000.png`` ... for ``count`` validation samples, spread over the liveries.

    The tiles are: input view, reprojection R(U(v)), reprojection of the true texture R(t),
    predicted texture U(v), true texture t, partner view. The PNG text entry ``ssim_uv`` holds the
    SSIM of the predicted texture.

    Args:
        path: the checkpoint.
        folder: the data set.
        out: the folder for the pictures.

    Returns:
        The files, in order.

    Raises:
        CheckpointError, DataError: the checkpoint or the data set cannot be used.
        UvtexError: ``out`` cannot be written.
    """
    loaded = checkpoint.load(path)
    data = PairStore.open(folder, loaded.config.model_copy(update={"device": "cpu"}))
    make_folder(out)
    batches = list(data.batches("val", 1))
    chosen = sorted({round(i * (len(batches) - 1) / max(1, count - 1)) for i in range(count)})
    files = []
    for number, index in enumerate(chosen):
        batch = batches[index]
        livery = data.liveries([data.val[index]])[0]
        files.append(out / f"sample_{number:03d}.png")
        write_atomic(files[-1], _grid(loaded, batch, livery))
    return files


@torch.no_grad()
def _grid(loaded: checkpoint.Checkpoint, batch: Batch, livery: str) -> bytes:
    out = forward(loaded.predictor, loaded.renderer, batch.pair)
    ssim = float(texture_columns(batch, out.texture_a)["ssim_uv"])
    tiles = {
        f"input view ({livery})": batch.pair.a,
        "reprojection R(U(v))": out.view_a,
        "of the true texture R(t)": out.true_a,
        f"predicted texture ({ssim:.3f})": out.texture_a,
        "true texture": batch.pair.texture,
        "partner view": batch.pair.b,
    }
    sheet = Image.new("RGB", (TILE * len(tiles), TILE + STRIP), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=12)
    for column, (label, image) in enumerate(tiles.items()):
        tile = to_picture(image[0]).resize((TILE, TILE), Image.Resampling.NEAREST)
        sheet.paste(tile, (column * TILE, STRIP))
        draw.text((column * TILE + 4, 4), label, fill="black", font=font)
    return encode_png(sheet, ssim_uv=f"{ssim:.6f}")


def to_picture(image: Tensor) -> Image.Image:
    """[3, H, W] in [-1, 1] as an sRGB picture."""
    pixels = ((image.detach().float().cpu().clamp(-1, 1) + 1) * 127.5).round().byte()
    return Image.fromarray(np.ascontiguousarray(pixels.permute(1, 2, 0).numpy()))


def encode_png(picture: Image.Image, **text: str) -> bytes:
    """The picture's PNG file, with ``text`` entries in it."""
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    for key, value in text.items():
        info.add_text(key, value)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()
