"""LeNet-5 (LeCun 1998) in MLX, trained from a seed to read handwritten digits; its widths may be others.

Without a folder of data it is trained on scikit-learn's bundled digits, upscaled to 28x28 and written as IDX files;
with `data:` on MNIST's own IDX files, or any of their format, by the same reader.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from harness.contract import Model, Refused, Site

if TYPE_CHECKING:
    from models.training import Channels, Study

VERSION = 2
WEIGHTS = "weights.safetensors"


def build(folder: Path, seed: int, data: Path | None, site: Site) -> None:
    """A folder of weights: its config tells how they came to be."""
    from models import weights
    from models.zoo.lenet5 import digits, training

    images = data or folder / "data"
    if data is None:
        digits.write_idx(images)
    try:
        network, figures = training.train(images, seed, site.say)
    except (OSError, ValueError) as error:
        raise Refused(f"`data` can't be trained on: {error}; give a folder of MNIST's IDX files") from error
    made = {"train": {"zoo": "lenet5", "seed": seed, **({} if data is None else {"data": data.name})}, **figures}
    weights.save(network, {**narrowed({"architecture": "lenet5"}, network), "made": [made]}, folder, None)


def open(folder: Path, options: Mapping[str, Any], site: Site) -> Model:
    if options.get("generate"):
        raise Refused("a LeNet-5 reads digits and generates nothing: leave `generate` out")
    from models.zoo.lenet5.reader import Reader

    return Reader(folder)


# ---------------------------------------------------------------------------------------- as a family of weights


def network(folder: Path) -> Any:
    """The network of a folder, its quantized and padded layers as they were stored."""
    import mlx.core as mx

    from models import quantized, weights

    weights.check_files(folder)
    config = weights.read_config(folder)
    model = blank(config)
    arrays = cast(dict[str, Any], mx.load(str(folder / WEIGHTS)))
    quantized.rebuild(model, config, arrays)
    try:
        model.load_weights(list(arrays.items()))
    except ValueError as error:
        raise Refused(f"{WEIGHTS} does not hold the layers that config.json states: {error}") from error
    model.eval()
    mx.eval(model.parameters())
    return model


def blank(config: Mapping[str, Any]) -> Any:
    from models.zoo.lenet5.layers import of

    return of(config)


def study(folder: Path, data: Path | None) -> Study:
    """A user's examples, or else the digits that the zoo itself trains on."""
    from models import weights
    from models.zoo.lenet5.lessons import own, read_study

    if data is not None:
        return read_study(data)
    trained = [step["train"] for step in weights.read_config(folder).get("made", ()) if "train" in step]
    if not trained or "data" in trained[0]:
        raise Refused("this LeNet-5 was not trained on the zoo's own digits: give `data:` to learn from")
    return own()


def channels(network: Any) -> list[Channels]:
    """Every hidden layer's outputs: behind the second convolution each has a column a place of its feature map."""
    from models.training import Channels
    from models.zoo.lenet5.layers import SIDE

    names = ["conv1", "conv2", *network.names()]
    return [
        Channels(name=name, producers=(name,), consumer=after, repeat=SIDE * SIDE if name == "conv2" else 1)
        for name, after in pairwise(names)
    ]


def narrowed(config: Mapping[str, Any], network: Any) -> dict[str, Any]:
    """`config` with the widths that the network has."""
    *hidden, _ = network.dense()
    widths = {"conv": [network.conv1, network.conv2], "dense": hidden}
    return {**config, **{part: [layer.weight.shape[0] for layer in layers] for part, layers in widths.items()}}


def config_of(shapes: Mapping[str, Sequence[int]]) -> dict[str, Any] | None:
    """The config of bare weights by their shapes, None where they are not those of a LeNet-5."""
    dense = sorted(name for name in shapes if name.startswith("dense") and name.endswith(".weight"))
    names = ["conv1.weight", "conv2.weight", *dense]
    if not dense or {*shapes} != {*names, *(name.replace("weight", "bias") for name in names)}:
        return None
    first, second, *rest = (shapes[name][0] for name in names)
    return {"architecture": "lenet5", "conv": [first, second], "dense": rest[:-1]}
