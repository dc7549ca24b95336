"""What a glTF material says: its colour, its picture, and how that picture is looked up."""

from __future__ import annotations

from typing import Any

from uvtex.showroom.cars.mesh_files.geometry import Material
from uvtex.showroom.cars.mesh_files.gltf_file import GltfFile

OTHER_TEXTURES = ("emissiveTexture", "normalTexture", "occlusionTexture")
IMAGE_EXTENSIONS = ("EXT_texture_webp", "EXT_texture_avif", "KHR_texture_basisu", "MSFT_texture_dds")  # fmt: skip  # noqa: E501


def _base(material: dict[str, Any]) -> tuple[dict[str, Any], str, str]:
    """The object that holds the base colour, and the keys of its texture and its factor."""
    gloss = material.get("extensions", {}).get("KHR_materials_pbrSpecularGlossiness")
    if gloss is not None:
        return gloss, "diffuseTexture", "diffuseFactor"
    return material.get("pbrMetallicRoughness", {}), "baseColorTexture", "baseColorFactor"


def texture_of(material: dict[str, Any]) -> dict[str, Any]:
    """How the material refers to its base colour's picture.

    Without one, the other pictures tell how UVs are meant, if they agree.
    """
    holder, key, _ = _base(material)
    if key in holder:
        return dict(holder[key])
    others = [material[name] for name in OTHER_TEXTURES if name in material]
    if "metallicRoughnessTexture" in holder:
        others.append(holder["metallicRoughnessTexture"])
    ways = [{k: v for k, v in other.items() if k in ("texCoord", "extensions")} for other in others]
    return dict(ways[0]) if ways and all(way == ways[0] for way in ways) else {}


def material_of(file: GltfFile, source: dict[str, Any], fallback: str) -> Material:
    """The appearance of a glTF material; ``fallback`` is its name if it has none."""
    holder, key, factor = _base(source)
    picture = None
    if key in holder:
        texture = file.item("textures", holder[key]["index"])
        others = (texture.get("extensions", {}).get(name, {}) for name in IMAGE_EXTENSIONS)
        index = next((other["source"] for other in others if "source" in other), None)
        index = texture.get("source", index)
        if index is not None:

            def picture() -> bytes:
                return file.image(index)

    return Material(
        # Names have line ends in some files; they go into messages and OBJ statements.
        " ".join(str(source.get("name") or "").split()) or fallback,
        tuple(float(value) for value in holder.get(factor, (1, 1, 1, 1))),
        source.get("alphaMode") == "BLEND",
        picture,
    )
