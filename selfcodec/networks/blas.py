"""SciPy's BLAS for compiled loops, without what else SciPy's linear algebra loads.

Numba takes matrix products from the functions in one extension module. The package around it takes 0.15 s to load, a
fifth of what a small picture takes in all, and nothing of it is needed.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from contextlib import suppress
from importlib.machinery import PathFinder

_MODULE, _PACKAGE, _AROUND = "scipy.linalg.cython_blas", "linalg", "scipy"


def _alone() -> None:
    """Loads the module as it lies there; ImportError where it does not."""
    around = importlib.import_module(_AROUND)
    spec = PathFinder.find_spec(_MODULE, [f"{folder}/{_PACKAGE}" for folder in around.__path__])
    if spec is None or spec.loader is None:
        raise ImportError(f"there is no {_MODULE}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules[_MODULE] = module  # so that there is never a second one


def load() -> None:
    """Loads it, with the package if it does not load alone.

    A program that imports the package later has it whole, but for its attribute of this module's name, which only
    `import` of the module sets.
    """
    if _MODULE not in sys.modules:
        with suppress(Exception):
            _alone()
    importlib.import_module(_MODULE)
