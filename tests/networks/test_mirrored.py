import torch

from faceren.networks.generator import build_generator
from faceren.networks.mirrored import mirrored_mean
from tests.networks.literal import randomise
from tests.training.tiny import CONFIG


def test_the_mean_of_a_ramp_and_its_mirror_image_is_flat():
    ramp = torch.arange(8.0).expand(1, 3, 4, 8)
    faces = torch.rand(1, 3, 4, 8, generator=torch.Generator().manual_seed(0))
    found = mirrored_mean(lambda x: x + ramp, faces)
    torch.testing.assert_close(found, faces + 3.5)


def test_mirrored_faces_come_back_mirrored_to_the_bit():
    network = randomise(build_generator(CONFIG)).float().eval()
    faces = torch.rand(2, 3, 32, 48, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        found = mirrored_mean(network, faces)
        theirs = mirrored_mean(network, faces.flip(-1)).flip(-1)
        alone = network(faces)
    assert torch.equal(found, theirs)
    assert (found - alone).abs().max() > 1e-3  # alone it does not treat both alike
    assert (network(faces.flip(-1)).flip(-1) - alone).abs().max() > 1e-3
