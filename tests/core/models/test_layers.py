"""Last layers compute in float32 also where autocast lowers the precision of the others."""

import pytest
import torch
from torch import nn

from vaa_cli.core.models.layers import FullConv2d, FullLinear
from vaa_cli.core.models.vaa import VAA


@pytest.mark.parametrize(
    ("full", "plain", "shape"),
    [
        (FullLinear(64, 5), nn.Linear(64, 5), (7, 64)),
        (FullConv2d(64, 5, 1), nn.Conv2d(64, 5, 1), (7, 64, 3, 2)),
    ],
)
def test_under_autocast(full: nn.Module, plain: nn.Module, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    plain.load_state_dict(full.state_dict())  # the same names, so that models of before load
    features = torch.randn(shape).bfloat16()
    exact = plain(features.float())
    with torch.autocast("cpu", torch.bfloat16):
        found, lowered = full(features), plain(features)
    assert found.dtype == torch.float32 and lowered.dtype == torch.bfloat16
    torch.testing.assert_close(found, exact, rtol=0, atol=1e-6)
    assert not torch.allclose(lowered.float(), exact, atol=1e-4)
    assert torch.equal(full(features.float()), exact)


@pytest.mark.parametrize("classifier", ["pooled", "spatial", "residual"])
def test_logits_of_a_model_are_float32(classifier: str) -> None:
    torch.manual_seed(0)
    model = VAA("resnet18", 3, (64, 32), (3, 4), classifier, 16).eval()  # type: ignore[arg-type]
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        output = model(torch.randn(2, 3, 64, 32))
    assert output.logits.dtype == torch.float32
