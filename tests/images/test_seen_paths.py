"""A set of paths that stays small."""

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from facetag.images.seen_paths import SeenPaths


@given(st.lists(st.text(max_size=3)))
def test_it_is_a_set(paths):
    seen, expected = SeenPaths(), set()
    for path in paths:
        path = path.encode("utf-8", "surrogatepass").decode("utf-8", "surrogateescape")
        assert (path in seen, seen.add(path)) == (path in expected, path not in expected)
        expected.add(path)
    assert bool(seen) == bool(expected)


def test_many_names_cost_little():
    """A million cost 22 MB, most of which is there after the first hundred thousand; as texts they would cost 150."""
    tracemalloc.start()
    seen = SeenPaths()
    for number in range(100_000):
        seen.add(f"/archive/photos/2024/summer/{number:07}.jpg")
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert held < 10_000_000
