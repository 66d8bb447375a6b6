"""The names among which options choose; here, so that neither torch nor files come with them."""

from typing import Literal

ClassifierName = Literal["spatial", "spatial-full", "pooled"]
LossName = Literal["focal", "bce"]
Weighting = Literal["prior", "label", "none"]
RecipeName = Literal["default", "paper"]
BestBy = Literal["mA", "mAP"]
CacheName = Literal["none", "ram"]
PrecisionName = Literal["auto", "fp32", "bf16", "fp16"]
