"""WideANet: its sizes, that views are slices of one map, and that folding changes no answer."""

import pytest
import torch

from facetag.errors import UsageError
from facetag.networks.anet import ANet, ANetSettings
from facetag.networks.anet_heads import build_anet
from facetag.networks.wide_anet import CONTEXT, WIDE, WideANet


@pytest.fixture(scope="module")
def net() -> WideANet:
    """With statistics of its own, as a trained net has them."""
    torch.manual_seed(3)
    net = WideANet(ANetSettings(kind="wide", widths=(8, 12, 16), blocks=(1, 1, 1), normalisation="batch"))
    for _ in range(3):
        net(torch.rand(8, 3, 128, 112))
    return net.eval().requires_grad_(False)


def test_each_view_is_a_slice_of_the_map_and_all_share_the_context(net: WideANet) -> None:
    regions = torch.rand(3, 3, 128, 112)
    cells, context = net.shared(regions)
    assert cells.shape == (3, 12, 16, 14) and context.shape == (3, 16, *CONTEXT)
    places = torch.tensor([[0, 0], [2, 2], [4, 1]])
    maps = net.views(regions, places)
    assert maps.c3.shape == (3, 3, 64, 5, 4) and maps.c4.shape == (3, 3, 80, 4, 3)
    for view, (row, column) in enumerate(places.tolist()):
        alone = net.local(cells[:, :, row : row + 12, column : column + 10], context)
        torch.testing.assert_close(maps.c3[:, view], alone.c3)
        torch.testing.assert_close(maps.c4[:, view], alone.c4)
        assert maps.context is not None and torch.equal(maps.context[:, view], context)


def test_a_fourth_level_is_the_context_and_the_map_of_the_views_stays_at_stride_8() -> None:
    cells, context = WideANet(DEEP).eval().shared(torch.rand(2, 3, 128, 112))
    assert cells.shape == (2, 12, 16, 14) and context.shape == (2, 20, *CONTEXT)


def test_the_plain_answer_is_that_of_the_middle_view(net: WideANet) -> None:
    regions = torch.rand(3, 3, 128, 112)
    middle = torch.tensor([[WIDE.margin // WIDE.step] * 2])
    maps = net.views(regions, middle).mapped(lambda part: part.flatten(0, 1))
    torch.testing.assert_close(net.features(maps), net(regions))


DEEP = ANetSettings(kind="wide", stem=8, widths=(8, 12, 16, 20), blocks=(1, 1, 2, 1), normalisation="batch")


@pytest.mark.parametrize(
    "settings",
    [
        ANetSettings("c3_c4", kind="paper", normalisation="batch"),
        ANetSettings(kind="wide", normalisation="batch"),
        DEEP,
    ],
    ids=["paper", "wide", "deep"],
)
def test_folding_changes_no_answer_and_leaves_no_normalisation(settings: ANetSettings) -> None:
    torch.manual_seed(4)
    net = build_anet(settings)
    size = [side + 2 * net.frame.margin for side in net.frame[:2]]
    for _ in range(3):
        net(torch.rand(8, 3, *size))
    regions, folded = torch.rand(4, 3, *size), net.eval().folded()
    torch.testing.assert_close(folded(regions), net(regions), rtol=1e-4, atol=1e-5)
    assert not [name for name in folded.state_dict() if "running" in name or "norm" in name]
    assert folded.settings.normalisation == "folded" and folded.folded() is folded
    again = build_anet(folded.settings)
    again.load_state_dict(folded.state_dict())
    assert torch.equal(again.eval()(regions), folded(regions))


def test_the_papers_net_without_normalisation_is_as_it_was() -> None:
    assert set(ANet().state_dict()) == {
        f"{layer}.{part}" for layer in ("c1", "c2", "c3", "c4", "fc") for part in ("weight", "bias")
    }
    assert ANet().folded().settings.normalisation == "none"


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "wide"},
        {"widths": (1, 2)},
        {"blocks": (1, 1, -1)},
        {"widths": (0, 1, 1)},
        {"blocks": (1,)},
        {"stem": -1},
        {"blocks": (1, 1, 1, 1)},
    ],
)
def test_a_structure_that_makes_no_net_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        ANetSettings(**wrong)  # type: ignore[arg-type]
