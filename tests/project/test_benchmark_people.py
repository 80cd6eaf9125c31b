"""The tables of benchmarks/people.py, on people whose answers are known."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import people

from facetag.datasets.utkface import Person
from facetag.model import load_model

PEOPLE = [Person(Path(f"{age}.jpg"), age, male, 0, "test") for age in (3, 8, 25, 70) for male in (True, False)]


def test_a_table_counts_by_age_and_sex_and_a_missed_face_as_wrong() -> None:
    probabilities = np.array([[0.9 if person.male else 0.1, 0.9 if person.age < 40 else 0.1] for person in PEOPLE])
    probabilities[0, 0] = 0.2  # a boy of three, said to be a girl
    probabilities[6] = np.nan  # a man of seventy, not found
    rows = people.by_age(PEOPLE, probabilities, probabilities >= 0.5)
    assert "| 0 to 4 | 0 (1) | 100 (1) | 100 (2) |" in rows
    assert "| 0 to 9 | 50 (2) | 100 (2) | 100 (4) |" in rows
    assert "| 70 to 116 | 0 (1) | 100 (1) | 0 (1) |" in rows
    assert "| 30 to 39 | - | - | - |" in rows
    assert "| White | 100 (1) | 100 (1) |" in people.by_race(PEOPLE, probabilities, probabilities >= 0.5)


def test_the_crossing_is_where_half_are_young() -> None:
    age = np.repeat(np.arange(20.0, 70.0), 20)
    young = np.random.default_rng(0).random(len(age)) < 1 / (1 + (age / 38) ** 8)
    assert people.crossing(age, young) == pytest.approx(38, abs=1.5)


def test_a_model_answers_where_chips_have_their_face(tmp_path: Path) -> None:
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "5_0_0_1.png")
    chip = [Person(tmp_path / "5_0_0_1.png", 5, True, 0, "test")]
    probabilities, present = people.Answers("fast", cascade=False)(chip)
    assert probabilities.shape == present.shape == (1, 2) and ((probabilities >= 0) & (probabilities <= 1)).all()
    assert (present == (probabilities >= load_model("fast").thresholds[[people.MALE, people.YOUNG]])).all()
