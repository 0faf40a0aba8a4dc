from math import exp

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from faceren.networks.suppression import AdaptiveSuppression, LipPooling, build_suppression
from tests.networks import layer_by_layer
from tests.networks.literal import Adaptive, Lip, randomise


def features(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


def pair(activation="sigmoid", channels=4, dim=3):
    literal = randomise(Adaptive(channels, dim, activation).double())
    fast = AdaptiveSuppression(channels, kernel_dim=dim, activation=activation).double()
    state = {key.replace("mlp.", "embed."): value for key, value in literal.state_dict().items()}
    for key in ("embed.0.weight", "embed.2.weight"):
        state[key] = state[key][:, :, None, None]
    fast.load_state_dict(state)
    return literal, fast


@pytest.mark.parametrize("activation", ["sigmoid", "tanh"])
@pytest.mark.parametrize("sides", [(6, 8), (5, 7), (1, 1), (2, 3)])
def test_adaptive_equals_the_naive_loop(activation, sides):
    literal, fast = pair(activation)
    x = features(2, 4, *sides)
    torch.testing.assert_close(fast(x), literal(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("sides", [(6, 8), (5, 7)])
def test_the_literal_layers_equal_the_naive_loops(sides):
    x = features(2, 4, *sides)
    for naive, literal in (
        (Adaptive(4, 3, "tanh"), layer_by_layer.Adaptive(4, 3, "tanh")),
        (Lip(4), layer_by_layer.Lip(4)),
    ):
        literal.double().load_state_dict(randomise(naive.double()).state_dict())
        torch.testing.assert_close(literal(x), naive(x), rtol=1e-10, atol=1e-12)


def test_adaptive_gradients_equal_the_naive_loop():
    literal, fast = pair()
    x = features(1, 4, 5, 6).requires_grad_()
    weights = features(1, 4, 3, 3)
    (ours,) = torch.autograd.grad((fast(x) * weights).sum(), x)
    (naive,) = torch.autograd.grad((literal(x) * weights).sum(), x)
    torch.testing.assert_close(ours, naive, rtol=1e-10, atol=1e-12)
    assert torch.autograd.gradcheck(fast, x)


def test_adaptive_gradcheck_of_its_weights():
    _, fast = pair("tanh", channels=2, dim=2)
    x = features(1, 2, 3, 4)
    names, values = zip(*fast.named_parameters(), strict=True)

    def of_weights(*weights):
        return torch.func.functional_call(fast, dict(zip(names, weights, strict=True)), (x,))

    assert torch.autograd.gradcheck(of_weights, values)


def test_kernel_is_symmetric():
    _, fast = pair()
    x = features(1, 4, 3, 3)
    swapped = x.clone()
    swapped[:, :, 0, 0], swapped[:, :, 0, 1] = x[:, :, 0, 1], x[:, :, 0, 0]
    # phi(f_00, f_01) with the two features exchanged: the neighbour to the right is offset 5
    with torch.no_grad():
        before, after = fast.gates(x)[:, 0, 0, 0, 0], fast.gates(swapped)[:, 0, 0, 0, 0]
    assert before[5].item() == pytest.approx(after[5].item(), rel=1e-12)
    assert before[4].item() != pytest.approx(after[4].item(), rel=1e-3)


def test_sigmoid_of_a_zero_affinity_halves_a_plain_convolution():
    fast = AdaptiveSuppression(3).double()
    for parameter in fast.embed.parameters():
        torch.nn.init.zeros_(parameter)
    x = features(1, 3, 8, 8)
    plain = torch.nn.functional.conv2d(x, fast.weight, stride=2, padding=1)
    torch.testing.assert_close(fast(x), plain / 2, rtol=1e-12, atol=1e-12)


class LargestTensor(TorchDispatchMode):
    largest = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if isinstance(out, torch.Tensor):
            storage = out.untyped_storage().nbytes() // out.element_size()
            self.largest = max(self.largest, storage)
        return out


def test_no_unfolded_map_is_stored():
    fast, x = AdaptiveSuppression(64, kernel_dim=4), torch.randn(1, 64, 32, 32)
    with LargestTensor() as watch, torch.no_grad():
        fast(x)
    assert watch.largest <= 64 * 34 * 34  # the padded input


@pytest.mark.parametrize("sides", [(6, 8), (5, 7), (2, 1)])
def test_lip_equals_the_naive_loop(sides):
    literal = randomise(Lip(3).double())
    fast = LipPooling(3).double()
    state = literal.state_dict()
    renamed = {"logit.0.weight": "logit.weight", "logit.1.weight": "norm.weight"}
    renamed["logit.1.bias"] = "norm.bias"
    fast.load_state_dict({ours: state[theirs] for theirs, ours in renamed.items()})
    x = features(2, 3, *sides)
    torch.testing.assert_close(fast(x), literal(x), rtol=1e-10, atol=1e-12)


def test_lip_weights_neighbours_by_their_importance():
    fast = LipPooling(1).double()
    torch.nn.init.zeros_(fast.logit.weight)
    fast.logit.weight.data[0, 0, 1, 1] = 1  # logits are the normalised input itself
    x = torch.tensor([[-1.0, 1.0], [-1.0, 1.0]], dtype=torch.float64)[None, None]
    ratio = exp(12 / (1 + exp(-1)) - 12 / (1 + exp(1)))  # of the weights of 1 and of -1
    expected = (ratio - 1) / (ratio + 1)
    assert fast(x).item() == pytest.approx(expected, rel=1e-4)  # eps of the normalisation


def test_lip_stays_finite_in_half_precision():
    fast = LipPooling(2).half()
    torch.nn.init.constant_(fast.norm.bias, 20)  # largest weight: exp(12) is too much for float16
    out = fast(torch.rand(1, 2, 8, 8).half())
    assert out.isfinite().all()
    assert 0 < out.min() <= out.max() <= 1


def test_fixed_is_an_ordinary_convolution():
    layer = build_suppression("fixed", 6, kernel_dim=4, activation="sigmoid")
    assert [tuple(p.shape) for p in layer.parameters()] == [(6, 6, 3, 3)]
    assert layer(torch.zeros(1, 6, 9, 8)).shape == (1, 6, 5, 4)


@pytest.mark.parametrize("layer", [LipPooling(8), AdaptiveSuppression(8)], ids=["lip", "adaptive"])
def test_threads_change_no_bit(layer):
    before = torch.get_num_threads()
    features = torch.rand(1, 8, 250, 130, generator=torch.Generator().manual_seed(0))
    features = features.contiguous(memory_format=torch.channels_last)
    found = []
    for count in (1, 3, 5, 7):  # so that shares end inside a vector
        torch.set_num_threads(count)
        with torch.inference_mode():
            found.append(layer.eval()(features))
    torch.set_num_threads(before)
    assert all(torch.equal(found[0], other) for other in found[1:])
