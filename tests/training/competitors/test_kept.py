from pathlib import Path

import numpy as np

from facetag.training.competitors.kept import kept, key_of


def test_arrays_are_made_once_for_one_key_and_anew_for_another_or_a_damaged_file(tmp_path: Path) -> None:
    made = []

    def make(value: int) -> dict[str, np.ndarray]:
        made.append(value)
        return {"values": np.array([value])}

    file, key = tmp_path / "work" / "a.npz", key_of("a", 1)
    assert kept(file, key, lambda: make(1))["values"].tolist() == [1]
    assert kept(file, key, lambda: make(2))["values"].tolist() == [1] and made == [1]
    assert kept(file, key_of("a", 2), lambda: make(3))["values"].tolist() == [3]
    file.write_bytes(file.read_bytes()[:40])
    assert kept(file, key, lambda: make(4))["values"].tolist() == [4] and made == [1, 3, 4]
    assert [each.name for each in file.parent.iterdir()] == ["a.npz"]
