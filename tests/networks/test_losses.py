"""The losses against double loops over what the paper writes (section 4)."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from facetag.networks.losses import attribute_loss, category_loss, contrastive_loss, identity_loss, similarity_loss


def test_attribute_loss_by_loops():
    torch.manual_seed(0)
    logits = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    labels = torch.randint(0, 2, (4, 3)).double()
    total = 0.0
    for i in range(4):
        for a in range(3):
            p = 1 / (1 + math.exp(-logits[i, a].item()))
            total -= float(labels[i, a]) * math.log(p) + (1 - float(labels[i, a])) * math.log(1 - p)
    assert attribute_loss(logits, labels).item() == pytest.approx(total / 12)
    (gradient,) = torch.autograd.grad(attribute_loss(logits, labels), logits)
    torch.testing.assert_close(gradient, (logits.sigmoid() - labels) / 12)


def test_attribute_loss_is_finite_for_any_logit():
    logits = torch.tensor([[1e4, -1e4]])
    assert float(attribute_loss(logits, torch.tensor([[0.0, 1.0]]))) == pytest.approx(1e4)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=8), st.integers(0, 99))
def test_similarity_loss_by_loops(people, seed):
    features = torch.randn(len(people), 5, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    total, pairs = 0.0, 0
    for i, first in enumerate(people):
        for j, second in enumerate(people):
            if i != j and first == second:
                total += float((features[i] - features[j]).square().sum())
                pairs += 1
    expected = total / pairs if pairs else 0.0
    assert float(similarity_loss(features, torch.tensor(people))) == pytest.approx(expected)


def test_no_pair_is_no_loss_and_no_gradient():
    features = torch.randn(3, 4, requires_grad=True)
    loss = similarity_loss(features, torch.tensor([2, 0, 1]))
    (gradient,) = torch.autograd.grad(loss, features)
    assert loss == 0 and torch.equal(gradient, torch.zeros_like(features))


def test_similarity_pulls_pairs_together():
    features = torch.tensor([[0.0], [2.0], [9.0]], requires_grad=True)
    (gradient,) = torch.autograd.grad(similarity_loss(features, torch.tensor([5, 5, 6])), features)
    assert gradient.flatten().tolist() == [-4.0, 4.0, 0.0]


def softmax_loss(logits, targets):
    """-log of the softmax's share of the target, averaged, by loops."""
    rows = zip(logits.tolist(), targets.tolist(), strict=True)
    return sum(-math.log(math.exp(row[t]) / sum(map(math.exp, row))) for row, t in rows) / len(targets)


@pytest.mark.parametrize("weight", [0.0, 0.05, 3.0])
def test_identity_loss_is_softmax_plus_weighted_similarity(weight):
    torch.manual_seed(1)
    features, logits, people = torch.randn(5, 6), torch.randn(5, 3), torch.tensor([0, 2, 0, 1, 2])
    expected = softmax_loss(logits, people) + weight * float(similarity_loss(features, people))
    assert float(identity_loss(features, logits, people, weight)) == pytest.approx(expected, rel=1e-5)


def test_category_loss_by_loops():
    torch.manual_seed(2)
    logits, categories = torch.randn(6, 4), torch.tensor([3, 0, 1, 1, 2, 0])
    assert float(category_loss(logits, categories)) == pytest.approx(softmax_loss(logits, categories), rel=1e-5)


def test_contrastive_loss_by_loops():
    torch.manual_seed(3)
    features, people, temperature = torch.randn(6, 5), [0, 1, 0, 2, 1, 0], 0.3
    centred = features - features.mean(0)
    cosine = torch.nn.functional.cosine_similarity(centred[:, None], centred[None, :], dim=2).tolist()
    terms = []
    for i, first in enumerate(people):
        others = sum(math.exp(cosine[i][k] / temperature) for k in range(6) if k != i)
        for j, second in enumerate(people):
            if i != j and first == second:
                terms.append(-math.log(math.exp(cosine[i][j] / temperature) / others))
    found = contrastive_loss(features, torch.tensor(people), temperature)
    assert float(found) == pytest.approx(sum(terms) / len(terms), rel=1e-5)


def test_contrastive_loss_drives_people_apart_and_needs_a_pair():
    features = torch.randn(4, 8, requires_grad=True)
    contrastive_loss(features, torch.tensor([0, 0, 1, 1]), 0.1).backward()
    assert features.grad is not None and bool((features.grad.norm(dim=1) > 0).all())
    assert contrastive_loss(features, torch.arange(4), 0.1) == 0
