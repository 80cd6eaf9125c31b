"""What ANet is trained with: outputs for attributes, or for identities, on its features (paper, section 4)."""

from torch import Tensor, nn

from facetag.networks.anet import FEATURES, ANet, ANetSettings
from facetag.networks.wide_anet import WideANet

AnyANet = ANet | WideANet


def build_anet(settings: ANetSettings) -> AnyANet:
    """The ANet of this kind, untrained.

    >>> build_anet(ANetSettings(kind="wide", normalisation="batch")).frame.height
    96
    """
    return WideANet(settings) if settings.kind == "wide" else ANet(settings)


class AttributeNet(nn.Module):
    """ANet with one sigmoid an attribute, as fine-tuned. Shape: faces (N, 3, 55, 47) -> logits (N, outputs).

    >>> import torch
    >>> AttributeNet(40, ANetSettings())(torch.rand(2, 3, 55, 47)).shape
    torch.Size([2, 40])
    """

    def __init__(self, outputs: int, settings: ANetSettings, dropout: float = 0.0) -> None:
        super().__init__()
        self.anet = build_anet(settings)
        self.dropout = nn.Dropout(dropout)
        self.outputs = nn.Linear(FEATURES, outputs)

    def forward(self, images: Tensor) -> Tensor:
        result: Tensor = self.outputs(self.dropout(self.anet(images)))
        return result


class IdentityNet(nn.Module):
    """ANet with one output an identity, as pre-trained. Shape: faces -> (features (N, 160), logits (N, identities)).

    The classifier sees the features through batch normalisation, the similarity loss sees them bare. Without it, with
    thousands of classes of a few images each, the first thing that is learned is to silence all features, which costs
    both losses least, and ReLU never lets them back.

    >>> import torch
    >>> features, logits = IdentityNet(7, ANetSettings())(torch.rand(2, 3, 55, 47))
    >>> features.shape, logits.shape
    (torch.Size([2, 160]), torch.Size([2, 7]))
    """

    def __init__(self, identities: int, settings: ANetSettings, dropout: float = 0.0) -> None:
        super().__init__()
        self.anet = build_anet(settings)
        self.dropout = nn.Dropout(dropout)
        self.neck = nn.BatchNorm1d(FEATURES)
        self.outputs = nn.Linear(FEATURES, identities)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features = self.anet(images)
        return features, self.outputs(self.dropout(self.neck(features)))
