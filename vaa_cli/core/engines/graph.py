"""The whole of a model as one graph: images as they are decoded in, probabilities out."""

from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from vaa_cli.core.models.card import ModelCard
from vaa_cli.core.models.vaa import VAA

INPUT, OUTPUT = "images", "probabilities"


class Probabilities(nn.Module):
    """Normalisation, the model with all its heads, their aggregation, temperatures, the sigmoid.

    Args:
        model: in evaluation mode.
        card: its mean, deviation and temperatures.
    """

    def __init__(self, model: VAA, card: ModelCard) -> None:
        super().__init__()
        self.model = model
        mean, std = (torch.tensor(figures)[:, None, None] for figures in (card.mean, card.std))
        self.scale = nn.Buffer(255.0 * std)  # of pictures in [0, 255], as they are decoded
        self.shift = nn.Buffer(mean / std)
        self.temperatures = nn.Buffer(torch.tensor(card.temperatures or (1.0,)))

    def forward(self, images: Tensor) -> Tensor:
        """uint8 `[n x 3 x h x w]` to probabilities `[n x c]`, float32."""
        logits: Tensor = self.model(images / self.scale - self.shift).logits
        return (logits / self.temperatures).sigmoid()


def inference_graph(model: VAA, card: ModelCard) -> fx.GraphModule:
    """A model's graph from uint8 images to probabilities, for inference only.

    Each batch normalisation that follows a convolution is folded into it; those of a DenseNet
    that come before one cannot be.

    Args:
        model: on the CPU; it is left as it is.
        card: what it needs to know of its images.
    """
    with torch.no_grad():
        graph = fx.symbolic_trace(Probabilities(model.eval(), card).eval())
        modules = dict(graph.named_modules())
        for node in list(graph.graph.nodes):
            norm = modules.get(node.target) if node.op == "call_module" else None
            if isinstance(norm, nn.BatchNorm2d):
                _fold(graph, modules, node, norm)
    graph.graph.lint()
    graph.recompile()
    return graph.requires_grad_(False)


def _fold(
    graph: fx.GraphModule, modules: dict[str, nn.Module], node: fx.Node, norm: nn.BatchNorm2d
) -> None:
    before: Any = node.args[0]
    convolution = modules.get(before.target) if before.op == "call_module" else None
    # What else reads the convolution's output needs it as it is.
    if type(convolution) is not nn.Conv2d or len(before.users) > 1:
        return
    parent, _, name = before.target.rpartition(".")
    folded = fuse_conv_bn_eval(convolution, norm)
    setattr(graph.get_submodule(parent), name, folded)
    modules[before.target] = folded
    node.replace_all_uses_with(before)
    graph.graph.erase_node(node)


def exported_graph(model: VAA, card: ModelCard) -> "torch.export.ExportedProgram":
    """The graph as PyTorch exports it, for any number of images."""
    # Two, since a dimension of one would be taken for a constant.
    example = torch.zeros((2, 3, *card.image_size), dtype=torch.uint8)
    count = torch.export.Dim("n", min=1, max=65536)
    return torch.export.export(
        inference_graph(model, card), (example,), dynamic_shapes=({0: count},)
    )
