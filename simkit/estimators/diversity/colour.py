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
    """CIELAB coordinates of sRGB colours (D65 white point, 2 degree observer).

    Parameters
    ----------
    rgb : array_like
        (..., 3) red, green and blue, from 0 to 255.

    Returns
    -------
    ndarray
        (..., 3) L*, a*, b*. White is (100, 0, 0), black is (0, 0, 0). A colour with a NaN is NaN.

    Raises
    ------
    ValueError
        If the last axis is not 3 long, or a value lies outside 0 to 255; the message names the
        first such value.

    References
    ----------
    CIE 15:2004, Colorimetry.

    Examples
    --------
    >>> srgb_to_lab([[255, 255, 255], [255, 0, 0]]).round(1) + 0.0
    array([[100. ,   0. ,   0. ],
           [ 53.2,  80.1,  67.2]])
    """
    c = numbers(rgb, "rgb", "(..., 3): red, green, blue", dims=range(1, 9))
    if c.shape[-1] != 3:
        raise ValueError(f"rgb has shape {c.shape}; it must be (..., 3): red, green, blue")
    outside = np.argwhere((c < 0) | (c > 255))
    if len(outside):
        place = outside[0].tolist()
        raise ValueError(f"rgb{place} is {c[tuple(place)]:g}; it must be a number from 0 to 255")
    c = c / 255
    linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    t = linear @ (_XYZ / _XYZ.sum(1, keepdims=True)).T
    f = np.where(t > _EDGE**3, np.cbrt(t), t / (3 * _EDGE**2) + 4 / 29)
    x, y, z = np.moveaxis(f, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


@checked("lab_1 lab_2")
def delta_e(lab_1: npt.ArrayLike, lab_2: npt.ArrayLike) -> FloatArray:
    """Colour difference ΔE*ab of 1976: the Euclidean distance in CIELAB.

    Parameters
    ----------
    lab_1, lab_2 : array_like
        (..., 3) L*, a*, b*; the leading axes broadcast.

    Returns
    -------
    ndarray
        (...) distances. About 2.3 is just noticeable; black and white are 100 apart. NaN where a
        coordinate is NaN.

    Raises
    ------
    ValueError
        If a last axis is not 3 long, or the shapes do not broadcast.

    References
    ----------
    CIE 15:2004, Colorimetry.

    Examples
    --------
    >>> delta_e([[0, 0, 0]], [[100, 0, 0]])
    array([100.])
    """
    given = aligned({"lab_1": lab_1, "lab_2": lab_2}, what="column")
    one, two = (numbers(x, name, "(..., 3)", dims=range(1, 9)) for name, x in given.items())
    sizes = zip(one.shape[-2::-1], two.shape[-2::-1], strict=False)
    if not one.shape[-1] == two.shape[-1] == 3 or any(a != b and 1 not in (a, b) for a, b in sizes):
        raise ValueError(f"colours have shapes {one.shape} and {two.shape}; they must be (..., 3)")
    return np.asarray(np.linalg.norm(one - two, axis=-1))
