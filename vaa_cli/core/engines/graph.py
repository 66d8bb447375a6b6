"""A whole model as one graph, from decoded images to probabilities."""

from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from vaa_cli.core.models.card import ModelCard
from vaa_cli.core.models.inference import Normalisation, calibration_tensors
from vaa_cli.core.models.vaa import VAA

INPUT, OUTPUT = "images", "probabilities"


class Probabilities(nn.Module):
    """Normalisation, the model with all its heads, their aggregation, calibration, the sigmoid.

    Args:
        model: the model, in evaluation mode.
        card: its card, with mean, standard deviation and calibration.
    """

    def __init__(self, model: VAA, card: ModelCard) -> None:
        super().__init__()
        self.model = model
        self.normalise = Normalisation(card.mean, card.std)
        temperatures, shifts = calibration_tensors(card)
        self.temperatures, self.shifts = nn.Buffer(temperatures), nn.Buffer(shifts)

    def forward(self, images: Tensor) -> Tensor:
        """uint8 `[n x 3 x h x w]` to probabilities `[n x c]`, float32."""
        logits: Tensor = self.model(self.normalise(images)).logits
        return (logits / self.temperatures + self.shifts).sigmoid()


def inference_graph(model: VAA, card: ModelCard) -> fx.GraphModule:
    """The graph of a model from uint8 images to probabilities, for inference only.

    Each batch normalisation that follows a convolution is folded into it; those of a DenseNet
    that come before one cannot be.

    Args:
        model: the model, on the CPU; it is not changed.
        card: its card.
    """
    with torch.no_grad():
        whole = Probabilities(model.eval(), card).eval()
        graph = fx.GraphModule(whole, _Tracer().trace(whole))
        modules = dict(graph.named_modules())
        for node in list(graph.graph.nodes):
            norm = modules.get(node.target) if node.op == "call_module" else None
            if isinstance(norm, nn.BatchNorm2d):
                _fold(graph, modules, node, norm)
    graph.graph.lint()
    graph.recompile()
    return graph.requires_grad_(False)


class _Tracer(fx.Tracer):
    """Traces a model, but not into layers that decide by the size of what they get."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Whether a module stays a call: torch's own, and timm's kinds of them."""
        return isinstance(m, _LEAVES) or super().is_leaf_module(m, module_qualified_name)


_LEAVES = (nn.Conv2d, nn.Linear, nn.MaxPool2d, nn.AvgPool2d)
# Convolutions into which what follows may be folded; others compute their weights.
_FOLDABLE = ("Conv2d", "Conv2dSame")


def _fold(
    graph: fx.GraphModule, modules: dict[str, nn.Module], node: fx.Node, norm: nn.BatchNorm2d
) -> None:
    before: Any = node.args[0]
    convolution: Any = modules.get(before.target) if before.op == "call_module" else None
    # Another reader of the convolution's output needs it unchanged.
    if type(convolution).__name__ not in _FOLDABLE or len(before.users) > 1:
        return
    parent, _, name = before.target.rpartition(".")
    folded = fuse_conv_bn_eval(convolution, norm)
    setattr(graph.get_submodule(parent), name, folded)
    modules[before.target] = folded
    node.replace_all_uses_with(before)
    graph.graph.erase_node(node)


def exported_graph(model: VAA, card: ModelCard) -> "torch.export.ExportedProgram":
    """The graph as PyTorch exports it, for any number of images."""
    # Two images, since a dimension of one would be taken for a constant.
    example = torch.zeros((2, 3, *card.image_size), dtype=torch.uint8)
    count = torch.export.Dim("n", min=1, max=65536)
    return torch.export.export(
        inference_graph(model, card), (example,), dynamic_shapes=({0: count},)
    )
