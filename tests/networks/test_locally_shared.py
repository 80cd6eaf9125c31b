"""The locally shared layer against loops over cells, and the interweaved map cell by cell (Eq. 4, Fig. 5)."""

import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from torch.nn import functional as F

from facetag.networks.locally_shared import LocallyShared, interweave, windows_of

small = st.integers(1, 3)


def layer_of(inputs, outputs, size, rows, columns, cell, seed=0):
    torch.manual_seed(seed)
    layer = LocallyShared(inputs, outputs, size, rows, columns, cell).double()
    torch.nn.init.normal_(layer.bias)
    return layer


def input_of(layer, count=2):
    height, width = (side * layer.cell + layer.size - 1 for side in (layer.rows, layer.columns))
    return torch.randn(count, layer.weight.shape[3], height, width, dtype=torch.float64)


def by_cells(layer, x):
    """Eq. (4) as it is written: the bank of a cell over the part of the input that the cell needs."""
    reach = layer.cell + layer.size - 1
    rows = []
    for p in range(layer.rows):
        y = p * layer.cell
        cells = [
            F.conv2d(
                x[..., y : y + reach, q * layer.cell : q * layer.cell + reach], layer.weight[p, q], layer.bias[p, q]
            )
            for q in range(layer.columns)
        ]
        rows.append(torch.cat(cells, dim=3))
    return torch.cat(rows, dim=2)


@examples(max_examples=40)
@given(inputs=small, outputs=small, size=small, rows=small, columns=small, cell=small, seed=st.integers(0, 99))
def test_against_one_convolution_a_cell(inputs, outputs, size, rows, columns, cell, seed):
    layer = layer_of(inputs, outputs, size, rows, columns, cell, seed)
    x = input_of(layer)
    torch.testing.assert_close(layer(x), by_cells(layer, x), rtol=1e-12, atol=1e-12)
    assert torch.equal(layer(x, pooled=True), F.max_pool2d(layer(x), cell))


def test_by_bare_loops():
    layer = layer_of(2, 3, 2, 2, 3, 2)
    x = input_of(layer, 1)
    found, weight, bias = layer(x).detach(), layer.weight.detach(), layer.bias.detach()
    for v in range(3):
        for y in range(4):
            for z in range(6):
                p, q = y // 2, z // 2
                value = float(bias[p, q, v])
                for u in range(2):
                    for a in range(2):
                        for b in range(2):
                            value += float(weight[p, q, v, u, a, b] * x[0, u, y + a, z + b])
                assert float(found[0, v, y, z]) == pytest.approx(value, rel=1e-12)


@given(size=small, input_size=st.integers(1, 6))
def test_a_grid_of_one_cell_is_a_convolution(size, side):
    layer = layer_of(3, 4, size, 1, 1, side)
    x = input_of(layer)
    torch.testing.assert_close(layer(x), F.conv2d(x, layer.weight[0, 0], layer.bias[0, 0]), rtol=1e-12, atol=1e-12)


def test_equal_banks_are_a_convolution():
    layer = layer_of(3, 4, 3, 5, 4, 2)
    with torch.no_grad():
        layer.weight.copy_(layer.weight[:1, :1].expand_as(layer.weight))
        layer.bias.copy_(layer.bias[:1, :1].expand_as(layer.bias))
    x = input_of(layer)
    torch.testing.assert_close(layer(x), F.conv2d(x, layer.weight[0, 0], layer.bias[0, 0]), rtol=1e-12, atol=1e-12)


def test_a_bank_answers_in_its_cell_alone():
    layer = layer_of(2, 3, 3, 3, 2, 2)
    x = input_of(layer)
    for p in range(3):
        for q in range(2):
            weight, bias = torch.autograd.grad(
                layer(x)[:, :, 2 * p : 2 * p + 2, 2 * q : 2 * q + 2].sum(), layer.parameters()
            )
            touched = torch.zeros(3, 2, dtype=torch.bool)
            touched[p, q] = True
            assert torch.equal(weight.flatten(2).abs().sum(2) > 0, touched)
            assert torch.equal(bias.abs().sum(2) > 0, touched)


def test_gradients():
    layer = layer_of(2, 2, 2, 2, 2, 1)
    x = input_of(layer, 1).requires_grad_()

    def function(value, weight, bias):
        return torch.func.functional_call(layer, {"weight": weight, "bias": bias}, (value,))

    assert torch.autograd.gradcheck(function, (x, layer.weight, layer.bias))


@pytest.mark.parametrize("shape", [(1, 2, 7, 6), (1, 2, 8, 5), (1, 3, 8, 6)])
def test_inputs_of_another_size_are_refused(shape):
    layer = layer_of(2, 3, 3, 3, 2, 2)  # wants (N, 2, 8, 6)
    with pytest.raises(RuntimeError):
        layer(torch.zeros(shape, dtype=torch.float64))


@given(height=st.integers(3, 9), width=st.integers(2, 9), rows=st.integers(1, 3), columns=st.integers(1, 2), step=small)
def test_windows_by_slicing(height, width, rows, columns, step):
    pooled = torch.rand(2, 3, height, width)
    tiles = windows_of(pooled, rows, columns, step)
    assert tiles.shape == (2, (height - rows) // step + 1, (width - columns) // step + 1, 3, rows, columns)
    for i in range(tiles.shape[1]):
        for j in range(tiles.shape[2]):
            y, x = i * step, j * step
            assert torch.equal(tiles[:, i, j], pooled[..., y : y + rows, x : x + columns])


@examples(max_examples=20)
@given(height=st.integers(2, 6), width=st.integers(2, 6), row=st.integers(0, 2), column=st.integers(0, 1))
def test_interweaved_map_cell_by_cell(height, width, row, column):
    maps = [[torch.rand(2, 3, height, width) for _ in range(3)] for _ in range(4)]
    found = interweave(maps, row, column)
    assert found.shape == (2, 3, 2 * (height - 1), 2 * (width - 1))
    for y in range(height - 1):
        for x in range(width - 1):
            for a in range(2):
                for b in range(2):
                    expected = maps[row + a][column + b][..., y + a, x + b]
                    assert torch.equal(found[..., 2 * y + a, 2 * x + b], expected)
