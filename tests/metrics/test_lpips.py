import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch

from tests.metrics.test_similarity import pictures
from uvtex.errors import BackboneMissing
from uvtex.metrics import lpips as perceptual
from uvtex.metrics.torchvision_import import import_torchvision


@pytest.fixture
def backbone(tmp_path: Path) -> Path:
    """A file of AlexNet with random weights. It serves to test the loading, not the metric."""
    import_torchvision()
    from torchvision.models import alexnet

    torch.manual_seed(0)
    path = tmp_path / "alexnet.pth"
    torch.save(alexnet(weights=None).state_dict(), path)
    return path


def test_lpips_uses_the_backbone_it_is_given(backbone: Path) -> None:
    import lpips
    from torchvision.models import alexnet

    ours = perceptual.load_lpips(str(backbone), torch.device("cpu"))
    assert ours is not None
    x, y = pictures(size=64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # lpips' own use of torchvision
        package = lpips.LPIPS(net="alex", version="0.1", pnet_rand=True, verbose=False)
    network = alexnet(weights=None)
    network.load_state_dict(torch.load(backbone, weights_only=True))
    for number in range(1, 6):  # the package splits AlexNet's features in order
        for name, layer in getattr(package.net, f"slice{number}").named_children():
            layer.load_state_dict(network.features[int(name)].state_dict())
    with torch.no_grad():
        torch.testing.assert_close(ours(x, y), package.eval()(x, y).flatten())
    assert ours(x, x).tolist() == pytest.approx([0, 0], abs=1e-6)
    assert "sha256" in ours.version


def test_lpips_inside_a_mask_is_the_mean_of_the_packages_map_over_the_mask(backbone: Path) -> None:
    ours = perceptual.load_lpips(str(backbone), torch.device("cpu"))
    assert ours is not None
    x, y = pictures(size=64)
    mask = torch.zeros(2, 1, 64, 64)
    mask[..., 20:40, 10:50] = 1
    whole, inside = ours.both(x, y, mask)
    torch.testing.assert_close(whole, ours(x, y))
    package = perceptual._lpips_network(backbone)
    package.spatial = True  # type: ignore[assignment]
    with torch.no_grad():
        full = package(x, y)
    torch.testing.assert_close(inside, full[:, 0, 20:40, 10:50].mean(dim=(1, 2)))
    mixed = x.clone()
    mixed[..., 56:] = y[..., 56:]  # far from the mask
    whole, inside = ours.both(x, mixed, mask)
    assert (inside < whole / 2).all()
    assert ours.both(x, y, mask * 0)[1].isnan().all()


def test_lpips_finds_the_backbone_in_torchs_hub_cache(backbone: Path, tmp_path: Path) -> None:
    cache = tmp_path / "torch_home" / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    target = cache / "alexnet-owt-7be5be79.pth"
    backbone.rename(target)
    assert perceptual.find_backbone(None) == target


def test_without_a_backbone_the_error_says_where_its_file_goes(tmp_path: Path) -> None:
    assert perceptual.load_lpips(None, torch.device("cpu")) is None
    with pytest.raises(BackboneMissing, match=r"alexnet-owt-7be5be79\.pth") as caught:
        perceptual.require_lpips(None)
    assert str(tmp_path / "torch_home") in str(caught.value)
    assert "`lpips_backbone: FILE`" in str(caught.value)


def test_a_bad_backbone_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "alexnet.pth"
    with pytest.raises(BackboneMissing, match="no such file"):
        perceptual.load_lpips(str(path), torch.device("cpu"))
    path.write_bytes(b"not weights")
    with pytest.raises(BackboneMissing, match="not torchvision's AlexNet"):
        perceptual.load_lpips(str(path), torch.device("cpu"))
    torch.save({"features.0.weight": torch.zeros(1)}, path)
    with pytest.raises(BackboneMissing, match="not torchvision's AlexNet"):
        perceptual.load_lpips(str(path), torch.device("cpu"))


def test_torchvision_models_work_with_any_torch() -> None:
    code = (
        "from uvtex.metrics.torchvision_import import import_torchvision; import_torchvision();"
        "import torchvision, torch;"
        "print(torchvision.models.alexnet(weights=None)(torch.zeros(1, 3, 64, 64)).shape)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "[1, 1000]" in done.stdout
