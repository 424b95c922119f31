"""What `--encoder` names; `simplexlab.models` builds them."""

import typing
from typing import Literal

EncoderName = Literal["resnet18", "resnet18-preact", "resnet-small", "resnet-small-preact", "mlp"]
ENCODERS: tuple[str, ...] = typing.get_args(EncoderName)
