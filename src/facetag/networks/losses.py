"""The losses of the paper's section 4."""

import torch
from torch import Tensor
from torch.nn import functional as F


def attribute_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of independent sigmoids, the mean over images and attributes.

    The paper's formula lacks its minus sign. Shape: logits and labels (N, A), labels 0 or 1 -> scalar.

    >>> import torch
    >>> round(attribute_loss(torch.zeros(2, 40), torch.ones(2, 40)).item(), 4)
    0.6931
    """
    return F.binary_cross_entropy_with_logits(logits, labels)


def distillation_loss(logits: Tensor, labels: Tensor, answers: Tensor, weight: float) -> Tensor:
    """Cross-entropy against labels mixed with a teacher's answers, which have this weight; alone where no label is.

    Shape: logits, labels (N, A) with -1 where unknown, answers (N, A) probabilities -> scalar.

    >>> import torch
    >>> labels, answers = torch.tensor([[1.0, -1.0]]), torch.tensor([[0.5, 0.25]])
    >>> round(distillation_loss(torch.zeros(1, 2), labels, answers, 0.7).item(), 4)
    0.6931
    """
    targets = torch.where(labels < 0, answers, labels.lerp(answers, weight))
    return F.binary_cross_entropy_with_logits(logits, targets)


def similarity_loss(features: Tensor, identities: Tensor) -> Tensor:
    """Mean of ||f_i - f_j||² over ordered pairs i != j of one identity; 0 where there is no such pair.

    Shape: features (N, F), identities (N,) of integers -> scalar.

    >>> import torch
    >>> similarity_loss(torch.tensor([[0.0], [2.0], [9.0]]), torch.tensor([5, 5, 6])).item()
    4.0
    """
    same = identities[:, None] == identities[None, :]
    same.fill_diagonal_(False)
    first, second = same.nonzero(as_tuple=True)
    if first.numel() == 0:
        return features.sum() * 0.0
    return (features[first] - features[second]).square().sum(1).mean()


def contrastive_loss(features: Tensor, identities: Tensor, temperature: float) -> Tensor:
    """Cross-entropy of finding the other images of a person among those of the batch, by cosines of centred features.

    The mean over ordered pairs i != j of one identity of -log(exp(c_ij / t) / sum over k != i of exp(c_ik / t)); 0
    where there is no such pair. Other than the similarity loss it also drives people apart.

    Shape: features (N, F), identities (N,) of integers -> scalar.

    >>> import torch
    >>> apart = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    >>> contrastive_loss(apart, torch.tensor([5, 5, 6, 6]), 0.1).item() < 1e-6
    True
    """
    unit = F.normalize(features - features.mean(0))
    cosines = (unit @ unit.T / temperature).masked_fill(_on_diagonal(features), -torch.inf)
    same = (identities[:, None] == identities[None, :]) & ~_on_diagonal(features)
    if not same.any():
        return features.sum() * 0.0
    return -F.log_softmax(cosines, dim=1)[same].mean()


def _on_diagonal(features: Tensor) -> Tensor:
    return torch.eye(len(features), dtype=torch.bool, device=features.device)


def identity_loss(features: Tensor, logits: Tensor, identities: Tensor, similarity_weight: float) -> Tensor:
    """Softmax loss over the training identities + similarity_weight x similarity loss (pre-training of ANet).

    Shape: features (N, F), logits (N, identities), identities (N,) contiguous ids -> scalar.

    >>> import torch
    >>> identity_loss(torch.zeros(2, 160), torch.zeros(2, 7), torch.tensor([0, 1]), 0.05).shape
    torch.Size([])
    """
    return F.cross_entropy(logits, identities) + similarity_weight * similarity_loss(features, identities)


def category_loss(logits: Tensor, categories: Tensor) -> Tensor:
    """Softmax loss over object categories (pre-training of LNet+). Shape: (N, classes), (N,) -> scalar.

    >>> import torch
    >>> round(category_loss(torch.zeros(2, 4), torch.tensor([0, 3])).item(), 4)
    1.3863
    """
    return F.cross_entropy(logits, categories)
