"""Reads a drawn figure back from its SVG: places are converted to values by the ticks of the axes beside them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree import ElementTree

SVG = "{http://www.w3.org/2000/svg}"
_NUMBER = r"-?[0-9.]+(?:e-?[0-9]+)?"
_POINT = re.compile(rf"[ML] ({_NUMBER}) ({_NUMBER})")


def parse(svg: str) -> ElementTree.Element:
    """Return the root of an SVG, which must be well-formed XML."""
    return ElementTree.fromstring(svg)  # noqa: S314 (the SVG is the product's own)


def texts(svg: str) -> list[str]:
    """Return all texts, in the order in which they were drawn."""
    return ["".join(element.itertext()) for element in parse(svg).iter(f"{SVG}text")]


@dataclass(frozen=True, slots=True)
class DrawnAxes:
    """One plot of a figure, with its marks by their ids."""

    element: ElementTree.Element

    def x(self, place: float) -> float:
        """Return the value on the horizontal axis at a place."""
        return _value(place, self._ticks("xtick", "x"))

    def y(self, place: float) -> float:
        """Return the value on the vertical axis at a place."""
        return _value(place, self._ticks("ytick", "y"))

    def marks(self, prefix: str) -> Iterator[tuple[str, ElementTree.Element]]:
        """Yield the id without its prefix and the element of each mark, in the order in which they were drawn."""
        for group in self.element.iter(f"{SVG}g"):
            name = group.get("id") or ""
            if name.startswith(prefix):
                yield name.removeprefix(prefix), group

    def dots(self, prefix: str) -> list[tuple[float, float]]:
        """Return the places of the dots of these marks."""
        uses = (use for _, group in self.marks(prefix) for use in group.iter(f"{SVG}use"))
        return [(float(use.get("x") or 0), float(use.get("y") or 0)) for use in uses]

    def paths(self, prefix: str) -> dict[str, tuple[list[tuple[float, float]], str]]:
        """Return the corners and the style of the path of each mark."""
        found = {}
        for name, group in self.marks(prefix):
            path = next(group.iter(f"{SVG}path"))
            corners = [(float(x), float(y)) for x, y in _POINT.findall(path.get("d") or "")]
            found[name] = (corners, path.get("style") or "")
        return found

    def _ticks(self, prefix: str, side: str) -> list[tuple[float, float]]:
        """Return the place and the value of each tick with a number."""
        found = []
        for _, group in self.marks(prefix):
            use, text = next(group.iter(f"{SVG}use")), next(group.iter(f"{SVG}text"))
            found.append((float(use.get(side) or 0), float((text.text or "").replace("−", "-"))))
        return found


def drawn_axes(svg: str) -> list[DrawnAxes]:
    """Return the plots of a figure."""
    groups = (each for each in parse(svg).iter(f"{SVG}g") if (each.get("id") or "").startswith("axes_"))
    return [DrawnAxes(each) for each in groups]


def _value(place: float, ticks: list[tuple[float, float]]) -> float:
    (first, low), (last, high) = ticks[0], ticks[-1]
    return low + (place - first) / (last - first) * (high - low)
