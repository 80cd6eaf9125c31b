"""Boxes in pixels and windows in cells.

A Box is in pixels of an upright image, x to the right and y down, origin at the top left corner of the
top left pixel. A Window is in whole cells of a response map (paper, section 3.1).
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Box:
    """A rectangle `x y width height` in pixels; may reach outside its image."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        return self.x + self.width

    @property
    def bottom(self) -> float:
        return self.y + self.height

    @property
    def center(self) -> tuple[float, float]:
        """(x, y) of the middle."""
        return self.x + self.width / 2, self.y + self.height / 2

    @property
    def area(self) -> float:
        return max(self.width, 0.0) * max(self.height, 0.0)

    @classmethod
    def around(cls, center_x: float, center_y: float, width: float, height: float) -> "Box":
        """The box of this size with this middle."""
        return cls(center_x - width / 2, center_y - height / 2, width, height)

    def scaled(self, factor_x: float, factor_y: float | None = None) -> "Box":
        """The same box after its image was resized by these factors (width, height)."""
        factor_y = factor_x if factor_y is None else factor_y
        return Box(self.x * factor_x, self.y * factor_y, self.width * factor_x, self.height * factor_y)

    def shifted(self, dx: float, dy: float) -> "Box":
        return Box(self.x + dx, self.y + dy, self.width, self.height)

    def enlarged(self, factor_x: float, factor_y: float | None = None) -> "Box":
        """Grown about its middle by these factors."""
        factor_y = factor_x if factor_y is None else factor_y
        return Box.around(*self.center, self.width * factor_x, self.height * factor_y)

    def extended_to_ratio(self, ratio: float) -> "Box":
        """The smallest box with width / height = ratio that has the same middle and holds this one."""
        return Box.around(*self.center, max(self.width, self.height * ratio), max(self.height, self.width / ratio))

    def clipped(self, width: float, height: float) -> "Box":
        """The part inside an image of this size; an empty box has width or height 0."""
        left, top = min(max(self.x, 0.0), width), min(max(self.y, 0.0), height)
        right, bottom = min(max(self.right, left), width), min(max(self.bottom, top), height)
        return Box(left, top, right - left, bottom - top)

    def intersection(self, other: "Box") -> float:
        """Area in common, in square pixels."""
        width = min(self.right, other.right) - max(self.x, other.x)
        height = min(self.bottom, other.bottom) - max(self.y, other.y)
        return max(width, 0.0) * max(height, 0.0)

    def iou(self, other: "Box") -> float:
        """Intersection over union, in [0, 1]; 0 when both are empty."""
        common = self.intersection(other)
        union = self.area + other.area - common
        return common / union if union > 0 else 0.0


@dataclass(frozen=True)
class Window:
    """A rectangle of cells of a response map, both ends included, with its peak.

    Attributes:
        top, left, bottom, right: rows and columns of cells, inclusive.
        peak_row, peak_column: the cell of largest response inside.
        score: the response at the peak.
    """

    top: int
    left: int
    bottom: int
    right: int
    peak_row: int
    peak_column: int
    score: float
