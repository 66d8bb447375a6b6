"""Makes `auto` another precision, in each process that has this folder in its PYTHONPATH.

VAA_TEST_AUTO=bf16 (or fp16, fp32) runs the suite as on a processor whose `auto` is that precision.
"""

import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Sequence
from types import ModuleType

MODULE = "vaa_cli.core.models.devices"


class _Patch(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Loads the module as usual, and replaces its choice of the best precision."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != MODULE:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        assert spec is not None and spec.loader is not None
        self._loader = spec.loader
        spec.loader = self
        return spec

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        module._best_precision = lambda device: os.environ["VAA_TEST_AUTO"]  # type: ignore[attr-defined]


if "VAA_TEST_AUTO" in os.environ:
    sys.meta_path.insert(0, _Patch())
