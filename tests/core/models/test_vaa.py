"""The model against method.md section 3.1: shapes, equations 1 and 2, aggregation."""

import copy
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision.models import get_model

from vaa_cli.core.models.attention import AttentionMaps, AttentionModule
from vaa_cli.core.models.backbones import feature_shapes, make_backbone
from vaa_cli.core.models.classifiers import (
    CoveringConv,
    PooledClassifier,
    ResidualClassifier,
    SpatialClassifier,
)
from vaa_cli.core.models.names import BACKBONES, AttentionName, ClassifierName
from vaa_cli.core.models.vaa import VAA

CLASSIFIERS: tuple[ClassifierName, ...] = ("spatial", "spatial-full", "pooled", "residual")


def make_images(count: int, size: tuple[int, int], seed: int = 0) -> Tensor:
    return torch.randn(count, 3, *size, generator=torch.Generator().manual_seed(seed))


# Channels and strides that the papers of ResNet and DenseNet give for the ends of their stages.
@pytest.mark.parametrize(
    ("name", "channels"),
    [
        ("resnet18", (64, 128, 256, 512)),
        ("resnet50", (256, 512, 1024, 2048)),
        ("resnet101", (256, 512, 1024, 2048)),
        ("densenet121", (256, 512, 1024, 1024)),
        ("densenet201", (256, 512, 1792, 1920)),
        ("densenet161", (384, 768, 2112, 2208)),
    ],
)
@pytest.mark.parametrize(
    "size",
    [
        (224, 224),
        (160, 96),
        pytest.param((256, 128), marks=pytest.mark.slow),
        pytest.param((128, 64), marks=pytest.mark.slow),
    ],
)
def test_stages_have_the_channels_and_strides_of_the_papers(
    name: str, channels: tuple[int, ...], size: tuple[int, int]
) -> None:
    shapes = feature_shapes(name, size)
    assert [shape[0] for shape in shapes] == list(channels)
    for stage, (_, height, width) in enumerate(shapes, start=1):
        stride = 2 ** (stage + 1)
        assert (height, width) == (size[0] // stride, size[1] // stride)


@pytest.mark.parametrize("name", BACKBONES)
def test_every_backbone_is_cut(name: str) -> None:
    shapes = feature_shapes(name, (64, 64))
    assert len(shapes) == 4
    assert shapes[-1][1:] == (2, 2)


@pytest.mark.parametrize("name", ["resnet18", "densenet121"])
def test_the_cut_network_computes_what_torchvision_computes(name: str) -> None:
    from torchvision.models import get_model

    torch.manual_seed(0)
    whole = get_model(name, weights=None).eval()
    cut = make_backbone(name, whole.state_dict()).eval()
    images = make_images(2, (96, 64))
    with torch.no_grad():
        features = cut(images)[-1].mean(dim=(2, 3))
        head = whole.fc if name == "resnet18" else whole.classifier
        torch.testing.assert_close(head(features), whole(images), rtol=1e-4, atol=1e-5)


def test_densenet_features_are_activated_and_resnet_stage_three_is_stage_fours_input() -> None:
    backbone = make_backbone("densenet121").eval()
    with torch.no_grad():
        for features in backbone(make_images(1, (64, 64)))[1:]:
            assert features.min() == 0  # norm and ReLU come before attention looks


@pytest.mark.parametrize("size", [(224, 224), (168, 112), (64, 32)])
@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_outputs_have_their_shapes(size: tuple[int, int], classifier: ClassifierName) -> None:
    model = VAA("resnet18", 5, size, (2, 3, 4), classifier, hidden=16).eval()
    with torch.no_grad():
        output = model(make_images(2, size))
    assert output.logits.shape == output.primary.shape == (2, 5)
    assert [logits.shape for logits in output.attention] == [(2, 5)] * 3
    shapes = feature_shapes("resnet18", size)[1:]
    assert [maps.attention.shape for maps in output.maps] == [(2, 5, h, w) for _, h, w in shapes]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_attention_sums_to_one_for_every_image_and_attribute(dtype: torch.dtype) -> None:
    torch.manual_seed(1)
    module = AttentionModule(24, 7, hidden=16).eval()
    features = 20 * torch.randn(3, 24, 9, 5)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        maps = module(features)
    assert maps.attention.dtype == torch.float32
    assert (maps.attention >= 0).all()
    torch.testing.assert_close(maps.attention.sum(dim=(2, 3)), torch.ones(3, 7))


def test_attention_is_the_spatial_softmax_of_three_convolutions() -> None:
    torch.manual_seed(2)
    module = AttentionModule(6, 3, hidden=4).double().eval()
    features = torch.randn(2, 6, 4, 3, dtype=torch.float64)
    assert module.attention is not None
    kernels = [w for w in module.attention.parameters() if w.ndim == 4]
    weights = [kernel.detach().numpy()[:, :, 0, 0] for kernel in kernels]
    assert [weight.shape for weight in weights] == [(4, 6), (4, 4), (3, 4)]
    hidden = features.numpy()
    for weight in weights[:2]:
        hidden = np.einsum("nfhw,gf->nghw", hidden, weight)
        # A fresh batch normalisation in evaluation divides by sqrt(1 + 1e-5) alone.
        hidden = np.maximum(hidden / np.sqrt(1 + 1e-5), 0)
    z = np.einsum("nfhw,cf->nchw", hidden, weights[2])
    *_, bias = module.attention.parameters()
    z += bias.detach().numpy()[:, None, None]
    exp = np.exp(z)
    expected = exp / exp.sum(axis=(2, 3), keepdims=True)
    np.testing.assert_allclose(module(features).attention.detach(), expected, rtol=1e-5)


def test_confidence_weights_the_map() -> None:
    attention = torch.full((1, 2, 2, 2), 0.25)
    confidence = torch.tensor([0.0, 100.0]).view(1, 2, 1, 1).expand(1, 2, 2, 2)
    weighted = AttentionMaps(attention, confidence).weighted
    torch.testing.assert_close(weighted[0, 0], torch.full((2, 2), 0.125))
    torch.testing.assert_close(weighted[0, 1], torch.full((2, 2), 0.25))


def test_prediction_is_the_mean_of_primary_and_all_attention_logits() -> None:
    for stages in [(4,), (3, 4), (2, 3, 4)]:
        model = VAA("resnet18", 4, (64, 64), stages, hidden=8).eval()
        with torch.no_grad():
            output = model(make_images(3, (64, 64)))
        expected = (output.primary + sum(output.attention)) / (1 + len(stages))
        torch.testing.assert_close(output.logits, expected)


@pytest.mark.parametrize("map_size", [(14, 14), (7, 5), (1, 1)])
def test_covering_convolution_is_the_grouped_convolution(map_size: tuple[int, int]) -> None:
    torch.manual_seed(3)
    ours = CoveringConv(6, 24, map_size).double()
    reference = nn.Conv2d(6, 24, map_size, groups=6, bias=False).double()
    reference.load_state_dict(ours.state_dict())
    maps = torch.randn(3, 6, *map_size, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(ours(maps), reference(maps))
    for layer in (ours, reference):
        layer(maps).square().sum().backward()
    torch.testing.assert_close(ours.weight.grad, reference.weight.grad)


def test_pooled_classifier_is_its_formula() -> None:
    rng = np.random.default_rng(4)
    attention = rng.random((3, 5, 4, 2))
    confidence, gain, bias = rng.normal(size=(3, 5, 4, 2)), rng.normal(size=5), rng.normal(size=5)
    classifier = PooledClassifier(5)
    classifier.load_state_dict({"gain": torch.tensor(gain), "bias": torch.tensor(bias)})
    expected = np.zeros((3, 5))
    for n in range(3):
        for c in range(5):
            expected[n, c] = gain[c] * (attention[n, c] * confidence[n, c]).sum() + bias[c]
    maps = AttentionMaps(torch.tensor(attention), torch.tensor(confidence))
    np.testing.assert_allclose(classifier(maps).detach(), expected, rtol=1e-5)


@pytest.mark.parametrize("full", [False, True])
def test_the_maps_scale_does_not_vanish_in_bf16(full: bool) -> None:
    """Nearly uniform maps of 14 x 14 must still reach the logits in training."""
    torch.manual_seed(5)
    classifier = SpatialClassifier(6, (14, 14), hidden=8, full=full).train()
    attention = torch.randn(16, 6, 196).mul(0.1).softmax(dim=2).view(16, 6, 14, 14)
    attention.requires_grad_()
    maps = AttentionMaps(attention, torch.zeros(16, 6, 14, 14))
    exact = classifier(maps)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = classifier(maps)
    spread = exact.std(dim=0).mean()
    assert spread > 0.05
    assert (exact - rounded.float()).abs().mean() < 0.25 * spread
    (gradient,) = torch.autograd.grad(exact.square().sum(), attention)
    assert gradient.abs().mean() > 0


@pytest.mark.parametrize("classifier", CLASSIFIERS)
@pytest.mark.parametrize("backbone", ["resnet18", "densenet121"])
def test_every_parameter_learns(backbone: str, classifier: ClassifierName) -> None:
    torch.manual_seed(6)
    model = VAA(backbone, 3, (64, 64), (2, 3, 4), classifier, hidden=8).train()
    for module in model.modules():
        if isinstance(module, ResidualClassifier):  # what comes before zeros learns a step later
            nn.init.normal_(module.spatial.linear.weight)
    output = model(make_images(4, (64, 64)))
    (output.primary.square().sum() + sum(a.square().sum() for a in output.attention)).backward()
    silent = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    # The pooled classifier's confidence bias is its own bias once more, and does learn; only a
    # softmax does not feel a constant added to all cells, which is what the last bias does.
    assert all(name.endswith("attention.2.bias") for name in silent), silent


@pytest.mark.parametrize("stages", [(1, 2), (5,), (3, 3)])
def test_stages_that_do_not_exist_are_refused(stages: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="stages"):
        VAA("resnet18", 2, (64, 64), stages)


@pytest.mark.parametrize("name", ["resnet50", "resnext50_32x4d"])
def test_a_finer_last_stage_is_torchvisions(name: str) -> None:
    """Its dilated ResNets, which it has of bottleneck blocks only, with the same weights."""
    torch.manual_seed(0)
    dilated: Any = get_model(
        name, weights=None, replace_stride_with_dilation=[False, False, True]
    ).eval()
    images = torch.randn(2, 3, 96, 64)
    with torch.no_grad():
        features = make_backbone(name, dilated.state_dict(), output_stride=16).eval()(images)
        expected = dilated.maxpool(dilated.relu(dilated.bn1(dilated.conv1(images))))
        for layer in (dilated.layer1, dilated.layer2, dilated.layer3, dilated.layer4):
            expected = layer(expected)
    assert features[3].shape[2:] == features[2].shape[2:] == (6, 4)
    torch.testing.assert_close(features[3], expected)


@pytest.mark.parametrize("name", ["resnet18", "densenet121"])
def test_a_finer_last_stage_of_others(name: str) -> None:
    """As fine as stage 3, and the stages before as they are."""
    torch.manual_seed(0)
    state = get_model(name, weights=None).state_dict()
    plain, fine = (make_backbone(name, state, output_stride=s).eval() for s in (32, 16))
    images = torch.randn(1, 3, 128, 64)
    with torch.no_grad():
        coarse, found = plain(images), fine(images)
    for before, after in zip(coarse[:3], found[:3], strict=True):
        torch.testing.assert_close(before, after)
    assert coarse[3].shape[2:] == (4, 2) and found[3].shape[2:] == (8, 4)
    assert found[3].shape[1:] == feature_shapes(name, (128, 64), 16)[3]


def test_a_finer_last_stage_sees_about_as_far() -> None:
    """435 pixels, by arithmetic; dilation makes up for the finer grid."""
    torch.manual_seed(0)
    seen = []
    for stride in (32, 16):
        backbone = make_backbone("resnet18", output_stride=stride).eval()
        images = torch.randn(1, 3, 512, 32, requires_grad=True)
        cell = backbone(images)[3][0, :, 256 // stride, 0].sum()
        (gradient,) = torch.autograd.grad(cell, images)
        rows = torch.nonzero(gradient[0].abs().sum(dim=(0, 2)))
        seen.append(int(rows.max() - rows.min()) + 1)
    assert seen[0] == 435
    assert 0.9 * seen[0] <= seen[1] <= seen[0]


def test_a_model_remembers_its_output_stride() -> None:
    model = VAA("resnet18", 3, (64, 64), classifier="pooled", output_stride=16)
    maps = model.eval()(torch.zeros(1, 3, 64, 64)).maps
    assert [m.attention.shape[2:] for m in maps] == [(4, 4), (4, 4)]


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_every_head_begins_at_the_priors(classifier: ClassifierName) -> None:
    """The biases; logits are theirs but for what the random weights add."""
    priors = [0.02, 0.5, 1.0, None]
    plain = VAA("resnet18", 4, (64, 32), hidden=8, classifier=classifier)
    model = copy.deepcopy(plain)
    model.start_at(priors)
    images = torch.randn(4, 3, 64, 32)
    with torch.no_grad():
        before, after = plain.eval()(images), model.eval()(images)
    for old, new in zip(
        (before.primary, *before.attention), (after.primary, *after.attention), strict=True
    ):
        added = (new - old).mean(dim=0)
        assert (new - old).std(dim=0).max() < 1e-5
        biases = torch.tensor([math.log(0.02 / 0.98), 0.0, 6.0])
        assert added[3].abs() < 1e-6  # of an attribute without a prior
        # The random bias that a linear layer had is replaced, and is small.
        assert (added[:3] - biases).abs().max() < 0.5
    assert model.primary.bias[:3].tolist() == pytest.approx(biases.tolist(), abs=1e-6)


def test_a_residual_classifier_begins_as_the_pooled_one() -> None:
    torch.manual_seed(0)
    maps = AttentionMaps(torch.rand(3, 5, 4, 2).flatten(2).softmax(2).view(3, 5, 4, 2),
                         torch.randn(3, 5, 4, 2))  # fmt: skip
    classifier = ResidualClassifier(5, (4, 2), hidden=8)
    expected = classifier.pooled(maps)
    torch.testing.assert_close(classifier(maps), expected)
    nn.init.normal_(classifier.spatial.linear.weight)
    torch.testing.assert_close(classifier(maps), expected + classifier.spatial(maps))


# Ablations


def test_uniform_attention_is_the_mean_over_cells() -> None:
    torch.manual_seed(5)
    module = AttentionModule(6, 4, hidden=8, attention="uniform").eval()
    assert [name for name, _ in module.named_parameters()] == [
        "confidence.weight",
        "confidence.bias",
    ]
    features = torch.randn(3, 6, 5, 2)
    maps = module(features)
    assert module.confidence is not None
    torch.testing.assert_close(maps.attention, torch.full((3, 4, 5, 2), 0.1))
    # Pooled by such maps, the confidences are a linear layer on averaged features.
    logits = PooledClassifier(4)(maps)
    torch.testing.assert_close(
        logits, module.confidence(features.mean((2, 3), keepdim=True))[..., 0, 0]
    )


@pytest.mark.parametrize("classifier", ["spatial", "spatial-full", "residual"])
def test_without_confidence_attention_has_no_weight(classifier: ClassifierName) -> None:
    torch.manual_seed(6)
    model = VAA("resnet18", 3, (64, 32), (3,), classifier, hidden=8, confidence=False).eval()
    (maps,) = model(make_images(2, (64, 32))).maps
    assert torch.equal(maps.weighted, maps.attention)
    # Only what the pooled logits are made of is still there.
    assert (maps.confidence is not None) == (classifier == "residual")


def test_the_baseline_is_a_backbone_and_a_linear_layer() -> None:
    torch.manual_seed(7)
    model = VAA("resnet18", 3, (64, 32), stages=()).eval()
    model.start_at([0.5, 0.1, None])
    images = make_images(2, (64, 32))
    output = model(images)
    assert output.attention == output.maps == ()
    assert {name.partition(".")[0] for name, _ in model.named_parameters()} == {
        "backbone",
        "primary",
    }
    pooled = model.backbone(images)[-1].mean((2, 3))
    expected = pooled @ model.primary.weight.T + model.primary.bias
    torch.testing.assert_close(output.logits, expected)
    assert model.primary.bias[1].item() == pytest.approx(math.log(0.1 / 0.9))


@pytest.mark.parametrize(
    ("classifier", "attention", "problem"),
    [
        ("pooled", "learned", "made of the confidences"),
        ("spatial", "uniform", "nothing of the picture"),
        ("spatial-full", "uniform", "nothing of the picture"),
    ],
)
def test_heads_that_nothing_would_reach(
    classifier: ClassifierName, attention: AttentionName, problem: str
) -> None:
    with pytest.raises(ValueError, match=problem):
        VAA("resnet18", 3, (64, 32), (3,), classifier, attention=attention, confidence=False)
