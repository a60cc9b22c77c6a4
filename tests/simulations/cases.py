"""All cases, in the order of the page: a module per study adds its list here."""

from __future__ import annotations

import importlib
import pkgutil

import tests.simulations
from tests.simulations.case import Case

_MODULES = sorted(
    name
    for _, name, _ in pkgutil.iter_modules(tests.simulations.__path__)
    if name.startswith("of_")
)
CASES: list[Case] = [
    case for name in _MODULES for case in importlib.import_module(f"tests.simulations.{name}").CASES
]
