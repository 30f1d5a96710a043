"""TensorBoard's messages for texts, pictures, the HParams tab's tables and the layout of custom scalars."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

from tensorboard.compat.proto import summary_pb2, tensor_pb2, tensor_shape_pb2, types_pb2
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.custom_scalar import metadata as custom_scalar_metadata
from tensorboard.plugins.hparams import api_pb2, plugin_data_pb2, summary_v2
from tensorboard.plugins.hparams import metadata as hparams_metadata
from tensorboard.plugins.text import metadata as text_metadata

from marl_pbt.protocols import HyperparameterValue
from marl_pbt.status import RunDescription

QUANTILES = {"min": 0.0, "q25": 0.25, "median": 0.5, "q75": 0.75, "max": 1.0}
"""Of the population's scores, as they are called in tags."""
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def text_summary(tag: str, markdown: str) -> Any:
    """A text of the Text tab."""
    return _string_summary(tag, markdown.encode(), text_metadata.create_summary_metadata("", ""))


def picture_summary(tag: str, data: bytes) -> Any:
    """A PNG or (animated) GIF of the Images tab, as it is.

    Raises:
        ValueError: It is neither.
    """
    if data.startswith(PNG_SIGNATURE):
        width, height = struct.unpack(">II", data[16:24])
    elif data.startswith((b"GIF87a", b"GIF89a")):
        width, height = struct.unpack("<HH", data[6:10])
    else:
        raise ValueError(f"{tag}: must be PNG or GIF, got {data[:8]!r}")
    image = summary_pb2.Summary.Image(width=width, height=height, colorspace=3, encoded_image_string=data)
    return summary_pb2.Summary(value=[summary_pb2.Summary.Value(tag=tag, image=image)])


def hparams_config_summary(description: RunDescription, initial: Mapping[str, HyperparameterValue]) -> Any:
    """The columns of the HParams tab: every declared hyperparameter, and the score of every species.

    Args:
        description: Of the run.
        initial: Some member's, by `<species>/<name>`: it gives the types.
    """
    hparams = [summary_v2.HParam(name, _Unbounded(type(value))) for name, value in initial.items()]
    metrics = [
        summary_v2.Metric(f"score/{species}", display_name=f"score {species}") for species in description.species
    ]
    return summary_v2.hparams_config_pb(hparams, metrics)


def hparams_summary(name: str, initial: Mapping[str, HyperparameterValue], time_s: float) -> Any:
    """A member's row of the HParams tab: where it started.

    Args:
        name: Of the member.
        initial: By `<species>/<name>`.
        time_s: When, in seconds since the epoch.
    """
    return summary_v2.hparams_pb(dict(initial), trial_id=name, start_time_secs=time_s)


def hparams_end_summary(is_success: bool, time_s: float) -> Any:
    """Says in the HParams tab that a member's run is over.

    Args:
        is_success: False where it ended with a failure.
        time_s: When, in seconds since the epoch.
    """
    status = api_pb2.STATUS_SUCCESS if is_success else api_pb2.STATUS_FAILURE
    info = plugin_data_pb2.SessionEndInfo(status=status, end_time_secs=time_s)
    data = plugin_data_pb2.HParamsPluginData(session_end_info=info)
    value = summary_pb2.Summary.Value(
        tag=hparams_metadata.SESSION_END_INFO_TAG,
        metadata=hparams_metadata.create_summary_metadata(data),
        tensor=hparams_metadata.NULL_TENSOR,
    )
    return summary_pb2.Summary(value=[value])


def layout_summary(description: RunDescription) -> Any:
    """The Custom Scalars tab: scores with their band, returns, the population's quantiles, hyperparameters."""
    categories = [
        layout_pb2.Category(title="Scores, mean ± standard error", chart=map(_band_chart, description.species)),
        layout_pb2.Category(
            title="Returns of training episodes",
            chart=[_lines_chart(species, f"returns/{species}") for species in description.species],
        ),
        layout_pb2.Category(
            title="The population's scores",
            chart=[
                _lines_chart(species, *(f"population/{species}/score_{name}" for name in QUANTILES))
                for species in description.species
            ],
        ),
        layout_pb2.Category(
            title="Hyperparameters",
            chart=[
                _lines_chart(f"{species} {name}", f"hyperparameters/{species}/{name}")
                for species, name in description.hyperparameters
            ],
        ),
    ]
    layout = layout_pb2.Layout(category=categories)
    return _string_summary(
        custom_scalar_metadata.CONFIG_SUMMARY_TAG,
        layout.SerializeToString(),
        custom_scalar_metadata.create_summary_metadata(),
    )


class _Unbounded(summary_v2.Domain):  # type: ignore[misc]  # it ships no types
    """All values of a type: what a run may change its hyperparameters to is told by its config, not here."""

    def __init__(self, dtype: type[HyperparameterValue]) -> None:
        self._dtype = dtype

    @property
    def dtype(self) -> type[HyperparameterValue]:
        """Of the values."""
        return self._dtype

    def sample_uniform(self, rng: Any = None) -> HyperparameterValue:
        """Nothing draws from here."""
        raise NotImplementedError

    def update_hparam_info(self, hparam_info: Any) -> None:
        """Note the type."""
        types = {bool: api_pb2.DATA_TYPE_BOOL, str: api_pb2.DATA_TYPE_STRING}
        hparam_info.type = types.get(self._dtype, api_pb2.DATA_TYPE_FLOAT64)


def _band_chart(species: str) -> Any:
    tag = f"score/{species}"
    series = layout_pb2.MarginChartContent.Series(value=tag, lower=f"{tag}_low", upper=f"{tag}_high")
    return layout_pb2.Chart(title=species, margin=layout_pb2.MarginChartContent(series=[series]))


def _lines_chart(title: str, *tags: str) -> Any:
    return layout_pb2.Chart(title=title, multiline=layout_pb2.MultilineChartContent(tag=[f"^{tag}$" for tag in tags]))


def _string_summary(tag: str, data: bytes, metadata: Any) -> Any:
    tensor = tensor_pb2.TensorProto(
        dtype=types_pb2.DT_STRING, string_val=[data], tensor_shape=tensor_shape_pb2.TensorShapeProto()
    )
    return summary_pb2.Summary(value=[summary_pb2.Summary.Value(tag=tag, metadata=metadata, tensor=tensor)])
