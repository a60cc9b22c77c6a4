"""Colours as people see them: sRGB to CIELAB, and the difference of two colours."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from simkit.estimators.shared.arguments import checked
from simkit.types import FloatArray, aligned, numbers

__all__ = ["delta_e", "srgb_to_lab"]

# Linear sRGB to XYZ (IEC 61966-2-1); its rows sum to the white point, D65 for the 2° observer.
_XYZ = np.array([[0.4124564, 0.3575761, 0.1804375],
                 [0.2126729, 0.7151522, 0.0721750],
                 [0.0193339, 0.1191920, 0.9503041]])  # fmt: skip
_EDGE = 6 / 29  # where CIELAB's cube root gives way to a straight line


@checked()
def srgb_to_lab(rgb: npt.ArrayLike) -> FloatArray:
    """CIELAB (D65, 2 degrees) of sRGB colours: (..., 3), 0 to 255, to (..., 3), L* a* b*.

    White is (100, 0, 0), black (0, 0, 0). A colour with a NaN is NaN. Raises ValueError for a last
    axis other than 3 and for values outside 0 to 255, naming the first. Source: CIE 15:2004.
    """
    c = numbers(rgb, "rgb", "(..., 3): red, green, blue", dims=range(1, 9))
    if c.shape[-1] != 3:
        raise ValueError(f"rgb has shape {c.shape}; legal is (..., 3): red, green, blue")
    bad = np.argwhere((c < 0) | (c > 255))
    if len(bad):
        at = tuple(int(i) for i in bad[0])
        raise ValueError(f"rgb{list(at)} is {c[at]:g}; legal are numbers from 0 to 255")
    c = c / 255
    linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    t = linear @ (_XYZ / _XYZ.sum(1, keepdims=True)).T
    f = np.where(t > _EDGE**3, np.cbrt(t), t / (3 * _EDGE**2) + 4 / 29)
    x, y, z = np.moveaxis(f, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


@checked("lab_1 lab_2")
def delta_e(lab_1: npt.ArrayLike, lab_2: npt.ArrayLike) -> FloatArray:
    """Colour difference ΔE*ab of 1976: Euclidean distance in CIELAB.

    (..., 3) and (..., 3), which broadcast, to (...). About 2.3 is just noticeable; black and white
    are 100 apart. NaN stays NaN.
    """
    given = aligned({"lab_1": lab_1, "lab_2": lab_2}, what="column")
    one, two = (numbers(x, name, "(..., 3)", dims=range(1, 9)) for name, x in given.items())
    fits = one.shape[-1] == two.shape[-1] == 3
    sizes = zip(one.shape[-2::-1], two.shape[-2::-1], strict=False)
    if not fits or any(a != b and 1 not in (a, b) for a, b in sizes):
        raise ValueError(f"colours have shapes {one.shape} and {two.shape}; legal is (..., 3)")
    return np.asarray(np.sqrt(((one - two) ** 2).sum(-1)))
