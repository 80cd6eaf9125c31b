"""Local response normalisation equals torch's whatever its constants, and batch normalisation folds away."""

import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from facetag.networks.normalisation import LocalResponseNorm, fold_batch_normalisation, local_response_normalisation


@examples(max_examples=60)
@given(
    channels=st.integers(1, 12),
    size=st.integers(1, 14),
    alpha=st.floats(1e-6, 10),
    beta=st.one_of(st.just(0.75), st.floats(0.01, 2)),
    k=st.floats(0.1, 5),
    seed=st.integers(0, 1000),
)
def test_the_same_as_torchs(channels, size, alpha, beta, k, seed):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(2, channels, 3, 4, generator=generator, dtype=torch.float64) * 10
    expected = F.local_response_norm(x, size, alpha=alpha, beta=beta, k=k)
    found = local_response_normalisation(x, size, alpha, beta, k)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


def test_by_loops_for_odd_and_even_sizes():
    x = torch.randn(1, 7, 1, 1, dtype=torch.float64)
    for size in (1, 2, 3, 4, 5, 9):
        found = local_response_normalisation(x, size, alpha=2.0, beta=0.5, k=1.5)
        for channel in range(7):
            near = range(max(channel - size // 2, 0), min(channel + (size - 1) // 2, 6) + 1)
            scale = 1.5 + 2.0 / size * sum(float(x[0, other, 0, 0]) ** 2 for other in near)
            assert float(found[0, channel, 0, 0]) == pytest.approx(float(x[0, channel, 0, 0]) / scale**0.5)


def test_gradients_are_torchs():
    x = torch.randn(1, 6, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda value: local_response_normalisation(value, 5, 0.3, 0.75, 2.0), x)


def test_layer_has_alexnets_constants():
    x = torch.randn(2, 96, 3, 3) * 100
    expected = F.local_response_norm(x, 5, alpha=1e-4, beta=0.75, k=2.0)
    torch.testing.assert_close(LocalResponseNorm()(x), expected)
    assert not torch.allclose(expected, x / 2**0.75, rtol=0.01), "at AlexNet's scale it must do something"


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("size", "stride", "padding", "groups"), [(1, 1, 0, 1), (3, 2, 1, 3), (5, 1, 2, 1)])
def test_folding_is_convolution_then_norm(bias, size, stride, padding, groups):
    torch.manual_seed(0)
    convolution = nn.Conv2d(3, 6, size, stride, padding, groups=groups, bias=bias).double()
    norm = nn.BatchNorm2d(6, eps=0.01).double().eval()
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.1, 4)
    x = torch.randn(2, 3, 9, 8, dtype=torch.float64)
    expected = norm(convolution(x))
    torch.testing.assert_close(fold_batch_normalisation(convolution, norm)(x), expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(norm(convolution(x)), expected, msg="folding must leave its inputs alone")
