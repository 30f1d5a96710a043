"""The config of a run: `models.py` says what it holds, `loading.py` how it is read, `binding.py` what it means."""

from __future__ import annotations

from marl_pbt.config.binding import BoundPBT, bind
from marl_pbt.config.loading import LoadedConfig, config_to_yaml, load_config
from marl_pbt.config.models import RunConfig

__all__ = ["BoundPBT", "LoadedConfig", "RunConfig", "bind", "config_to_yaml", "load_config"]
