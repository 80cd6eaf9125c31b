"""Locally shared filters and the interweaved operation (paper, section 3.2, Eq. 4 and Fig. 5)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class LocallyShared(nn.Module):
    """A convolution whose filters differ from cell to cell of a grid and are shared inside a cell (Eq. 4).

    Bank (p, q) answers the `cell` x `cell` output positions of grid cell (p, q); all banks have the same shape.
    `normalised`: batch normalisation of each bank's output channels follows, until `fold`: what is rare in one cell may
    be common in another, and normalised over all banks, cells fall silent.

    Shape: (N, inputs, rows * cell + size - 1, columns * cell + size - 1)
        -> (N, outputs, rows * cell, columns * cell), before ReLU.
        weight (rows, columns, outputs, inputs, size, size), bias (rows, columns, outputs).

    >>> LocallyShared(40, 60, size=3, rows=5, columns=4, cell=2)(torch.rand(2, 40, 12, 10)).shape
    torch.Size([2, 60, 10, 8])
    """

    def __init__(
        self, inputs: int, outputs: int, size: int, rows: int, columns: int, cell: int, normalised: bool = False
    ) -> None:
        super().__init__()
        self.size, self.rows, self.columns, self.cell = size, rows, columns, cell
        self.weight = nn.Parameter(torch.empty(rows, columns, outputs, inputs, size, size))
        self.bias = nn.Parameter(torch.zeros(rows, columns, outputs))
        nn.init.normal_(self.weight, std=(2.0 / (inputs * size * size)) ** 0.5)
        self.norm = nn.BatchNorm1d(rows * columns * outputs) if normalised else None

    @torch.no_grad()
    def fold(self) -> None:
        """Batch normalisation becomes part of the filters: the same answers as in evaluation mode.

        >>> layer = LocallyShared(4, 6, size=3, rows=2, columns=2, cell=2, normalised=True).eval()
        >>> x = torch.rand(2, 4, 6, 6)
        >>> before = layer(x)
        >>> layer.fold()
        >>> bool(torch.allclose(layer(x), before, atol=1e-5))
        True
        """
        if self.norm is None:
            return
        assert self.norm.running_mean is not None and self.norm.running_var is not None
        factor = (self.norm.weight / torch.sqrt(self.norm.running_var + self.norm.eps)).view_as(self.bias)
        self.weight.mul_(factor[..., None, None, None])
        moved = (self.bias - self.norm.running_mean.view_as(self.bias)) * factor
        self.bias.copy_(moved + self.norm.bias.view_as(self.bias))
        self.norm = None

    def forward(self, x: Tensor, pooled: bool = False) -> Tensor:
        """`pooled`: the largest response in each cell alone, (N, outputs, rows, columns), as max-pooling would give it;
        it costs less than pooling, since only those change their place in memory."""
        responses = self.by_cell(x)
        if pooled:
            return responses.amax((3, 4)).permute(2, 3, 0, 1).contiguous()
        responses = responses.permute(2, 5, 0, 3, 1, 4)
        return responses.reshape(x.shape[0], -1, self.rows * self.cell, self.columns * self.cell)

    def by_cell(self, x: Tensor) -> Tensor:
        """The responses of each bank: (rows, columns, N, cell, cell, outputs).

        >>> LocallyShared(40, 60, size=3, rows=5, columns=4, cell=2).by_cell(torch.rand(7, 40, 12, 10)).shape
        torch.Size([5, 4, 7, 2, 2, 60])
        """
        count, cell, rows, columns = x.shape[0], self.cell, self.rows, self.columns
        # Channels come last, so that whole rows of a patch are copied at once: half of the time went into gathering.
        patches = x.permute(0, 2, 3, 1).contiguous().unfold(1, self.size, 1).unfold(2, self.size, 1)
        # every output position's patch, gathered by the cell that it lies in: (cells, N * cell², size² * inputs)
        patches = patches.view(count, rows, cell, columns, cell, *patches.shape[3:])
        patches = patches.permute(1, 3, 0, 2, 4, 6, 7, 5).reshape(rows * columns, count * cell * cell, -1)
        filters = self.weight.flatten(0, 1).permute(0, 3, 4, 2, 1).reshape(rows * columns, -1, self.weight.shape[2])
        result = torch.baddbmm(self.bias.reshape(rows * columns, 1, -1), patches, filters)
        if self.norm is not None:
            outputs = result.shape[-1]  # each bank's channels are channels of their own: (N * cell², cells * outputs)
            normalised = self.norm(result.transpose(0, 1).flatten(1))
            result = normalised.view(-1, rows * columns, outputs).transpose(0, 1)
        return result.reshape(rows, columns, count, cell, cell, -1)


def windows_of(pooled: Tensor, rows: int, columns: int, step: int) -> Tensor:
    """Every rows x columns window of a map, `step` cells apart.

    Shape: (N, C, H, W) -> (N, I, J, C, rows, columns) with I = (H - rows) // step + 1, J alike.

    >>> windows_of(torch.rand(1, 40, 16, 12), rows=12, columns=10, step=2).shape
    torch.Size([1, 3, 2, 40, 12, 10])
    """
    return pooled.unfold(2, rows, step).unfold(3, columns, step).permute(0, 2, 3, 1, 4, 5)


def interweave(maps: list[list[Tensor]], row: int, column: int) -> Tensor:
    """The interweaved map of the 2 x 2 banks around bank (row, column) (Fig. 5 c).

    Each bank's responses are full maps; inside a window the response of bank (p, q) stands p cells lower and q
    cells further right than that of bank (0, 0), so bank (row + a, column + b) is shifted by (a, b) before its
    responses are interleaved: cell (2 y + a, 2 x + b) of the result is maps[row + a][column + b][y + a, x + b].

    Shape: maps[p][q] (N, C, H, W) -> (N, C, 2 (H - 1), 2 (W - 1)); a 2 x 2 filter runs over it with stride 2.

    >>> maps = [[torch.rand(1, 60, 7, 6) for _ in range(2)] for _ in range(2)]
    >>> interweave(maps, 0, 0).shape
    torch.Size([1, 60, 12, 10])
    """
    height, width = maps[row][column].shape[-2:]
    corners = [
        maps[row + a][column + b][..., a : height - 1 + a, b : width - 1 + b] for a in range(2) for b in range(2)
    ]
    return F.pixel_shuffle(torch.stack(corners, dim=2).flatten(1, 2), 2)


def interweaved_reference(pooled: Tensor, c3: LocallyShared, c4: LocallyShared) -> Tensor:
    """The interweaved operation as the paper has it: slow, kept as what the shipped path is tested against.

    Every C3 bank runs over the whole pooled C2 map, the responses of neighbouring banks are interleaved for each
    C4 bank, and every C4 bank runs over its own interleaved map; a window picks position (i + p, j + q) of bank
    (p, q).

    Shape: pooled C2 (N, 40, H, W) -> h(4) (N, I, J, 80, 4, 3), windows two cells (8 pixels) apart.

    >>> c3, c4 = LocallyShared(40, 60, 3, 5, 4, 2), LocallyShared(60, 80, 2, 4, 3, 1)
    >>> interweaved_reference(torch.rand(1, 40, 16, 12), c3, c4).shape
    torch.Size([1, 3, 2, 80, 4, 3])
    """
    banks = [
        [F.max_pool2d(F.relu(F.conv2d(pooled, c3.weight[p, q], c3.bias[p, q])), 2) for q in range(c3.columns)]
        for p in range(c3.rows)
    ]
    high, wide = banks[0][0].shape[-2] - c3.rows + 1, banks[0][0].shape[-1] - c3.columns + 1
    blocks = []
    for p in range(c4.rows):
        for q in range(c4.columns):
            whole = F.relu(F.conv2d(interweave(banks, p, q), c4.weight[p, q], c4.bias[p, q], stride=2))
            blocks.append(whole[..., p : p + high, q : q + wide])
    count, channels = pooled.shape[0], blocks[0].shape[1]
    stacked = torch.stack(blocks, dim=-1).reshape(count, channels, high, wide, c4.rows, c4.columns)
    return stacked.permute(0, 2, 3, 1, 4, 5)
