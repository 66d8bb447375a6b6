"""vaa: recognise attributes of people in pictures with visual attention aggregation.

Everything that the commands do can be done from Python, too. The names below are imported when
they are first used, so that `import vaa_cli` takes no time.

Example:
    >>> import vaa_cli as vaa
    >>> sorted(vaa.__all__)[:4]
    ['EngineOptions', 'Predictor', 'PrepareOptions', 'TrainingOptions']
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vaa_cli.core.datasets.options import PrepareOptions
    from vaa_cli.core.datasets.pipeline import prepare
    from vaa_cli.core.datasets.prepared import read_prepared
    from vaa_cli.core.engines.base import EngineOptions
    from vaa_cli.core.errors import VAAError
    from vaa_cli.core.evaluation.evaluation import evaluate
    from vaa_cli.core.prediction.predictor import Predictor, open_predictor
    from vaa_cli.core.training.loop import train
    from vaa_cli.core.training.options import TrainingOptions

_MODULES = {
    "EngineOptions": "vaa_cli.core.engines.base",
    "Predictor": "vaa_cli.core.prediction.predictor",
    "PrepareOptions": "vaa_cli.core.datasets.options",
    "TrainingOptions": "vaa_cli.core.training.options",
    "VAAError": "vaa_cli.core.errors",
    "evaluate": "vaa_cli.core.evaluation.evaluation",
    "open_predictor": "vaa_cli.core.prediction.predictor",
    "prepare": "vaa_cli.core.datasets.pipeline",
    "read_prepared": "vaa_cli.core.datasets.prepared",
    "train": "vaa_cli.core.training.loop",
}

__all__ = [
    "EngineOptions",
    "Predictor",
    "PrepareOptions",
    "TrainingOptions",
    "VAAError",
    "evaluate",
    "open_predictor",
    "prepare",
    "read_prepared",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_MODULES])
