"""`spfem-data train-encoder`: train an encoder with the weights named in params.yaml."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline.digests import sha256_of
from pipeline.errors import ParameterError
from pipeline.models.device import device_of
from pipeline.models.registry import DEMO, find_weights
from pipeline.params import TrainEncoder
from pipeline.runtime.run import Run
from pipeline.stylegan.encoders import EncoderConfig, WPlusEncoder
from pipeline.stylegan.generator import Generator
from pipeline.stylegan.networks import load_as
from pipeline.stylegan.perceptual import Vgg
from pipeline.tools.train_encoder.crops import CropSettings, training_crops
from pipeline.tools.train_encoder.encoder import Parts, train_encoder

_INPUT_PX = 256
"""Input size of an encoder with random initial weights."""


@dataclass(frozen=True)
class TrainedEncoder:
    """The result of a training: the file, its SHA-256 and the number of training images."""

    path: Path
    sha256: str
    n_images: int


def train_on_dataset(run: Run, folder: Path) -> TrainedEncoder:
    """Train with the section `train_encoder` of params.yaml.

    Parameters
    ----------
    folder
        The folder of this training, which also stores the framed images.

    Raises
    ------
    MissingWeightsError, ParameterError
        When a named network is missing, of another kind, or incompatible with the other.
    OutOfOrderError
        When extract or align has not run.
    """
    section = run.params.train_encoder
    device = device_of(section.device)
    parts = parts_of(run, section)
    settings = CropSettings(
        section.framing,
        section.smooth_square_frames,
        section.frames_per_take,
        parts.encoder.config.input_px,
    )
    crops = training_crops(run, settings, folder / "images")
    with run.progress("training steps", section.steps) as step:
        path = train_encoder(crops, parts, section, folder, device, done=lambda _, row: step())
    return TrainedEncoder(path, sha256_of(path), len(crops))


def parts_of(run: Run, section: TrainEncoder) -> Parts:
    """The networks that a section names, which must be compatible."""
    names = {
        "start": section.start,
        "generator": section.generator,
        "perceptual": section.perceptual,
    }
    if not section.generator:
        raise ParameterError("train_encoder.generator names no weights: an encoder needs one")
    corpus = run.entry.corpus
    found = {
        purpose: find_weights(run.params.models, name, run.data, corpus)
        for purpose, name in names.items()
        if name
    }
    generator = load_as(found["generator"], Generator, "train_encoder.generator")
    if "start" in found:
        encoder = load_as(found["start"], WPlusEncoder, "train_encoder.start")
    else:
        encoder = _initial_encoder(generator, section)
    _check_fit(encoder, generator, section)
    shas = {purpose: weights.sha256 for purpose, weights in found.items()}
    perceptual = None
    if "perceptual" in found:
        perceptual = load_as(found["perceptual"], Vgg, "train_encoder.perceptual")
    return Parts(encoder, generator, perceptual, shas, drawn=corpus == DEMO)


def _initial_encoder(generator: Generator, section: TrainEncoder) -> WPlusEncoder:
    """IR-SE-50 with e4e's heads, initialised at the generator's mean code."""
    if section.freeze_norms:
        raise ParameterError(
            "train_encoder.freeze_norms is true, but an encoder that begins from nothing has batch "
            "norms that know nothing: set it false"
        )
    config = generator.config
    encoder = WPlusEncoder(EncoderConfig("e4e", config.n_latent, config.style_dim, _INPUT_PX))
    encoder.get_buffer("latent_avg").copy_(generator.get_buffer("latent_avg"))
    return encoder


def _check_fit(encoder: WPlusEncoder, generator: Generator, section: TrainEncoder) -> None:
    gives = encoder.config.n_styles, encoder.config.style_dim
    takes = generator.config.n_latent, generator.config.style_dim
    if gives != takes:
        raise ParameterError(
            f"train_encoder.start {section.start!r} gives codes of {gives[0]} x {gives[1]}, "
            f"train_encoder.generator {section.generator!r} takes {takes[0]} x {takes[1]}"
        )
