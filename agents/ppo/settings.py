"""The settings of the PPO learner, checked whole before anything is built.

A key at the top holds for every species; under `species.<name>` it holds for that one alone:
`{learning_rate: 1e-3, n_steps: 64, species: {prey: {batch_size: 1024}}}`. Hyperparameters have
Stable-Baselines3's names and meaning.

Beside them each hidden layer's width is one. Stable-Baselines3 and RLlib say all widths in one list (`net_arch`,
`fcnet_hiddens`), which nothing can multiply by 1.25; so each layer has a name, counted as one speaks of them: with
`net_arch: [64, 64]` there are `hidden_units_1` and `hidden_units_2`, of actor and critic alike. Where actor and critic
have lists of their own they evolve apart: `pi_hidden_units_1`, `vf_hidden_units_1` and so on. They are words that a
constraint may contain: `hidden_units_2 <= hidden_units_1`.

What the worlds offer makes more of them, `reward_weight.<term>` and `environment.<name>`: see `agents.ppo.offered`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from agents.checks import interface_faults, is_legal, range_of, typed, unknown
from agents.ppo.offered import offered_specs, weight_faults
from marl_pbt.protocols import HyperparameterSpec, HyperparameterValue, Interface, UserError

UpdatePath: TypeAlias = Literal["auto", "sparse", "dense", "sb3"]

HYPERPARAMETERS: Mapping[str, HyperparameterSpec] = {
    "learning_rate": HyperparameterSpec(3e-4, "float", low=0.0, low_is_open=True),
    "n_epochs": HyperparameterSpec(4, "int", low=1),
    "batch_size": HyperparameterSpec(2048, "int", low=2),
    "gamma": HyperparameterSpec(0.99, "float", low=0.0, high=1.0),
    "gae_lambda": HyperparameterSpec(0.95, "float", low=0.0, high=1.0),
    "clip_range": HyperparameterSpec(0.2, "float", low=0.0, low_is_open=True),
    "ent_coef": HyperparameterSpec(0.0, "float", low=0.0),
    "vf_coef": HyperparameterSpec(0.5, "float", low=0.0),
    "max_grad_norm": HyperparameterSpec(0.5, "float", low=0.0, low_is_open=True),
    "reward_scale": HyperparameterSpec(0.1, "float", low=0.0, low_is_open=True),
}
"""What PBT may change. `batch_size`: rows of a minibatch; a smaller rollout is one minibatch. `reward_scale` is for
the learner's eyes only: returns are reported unscaled."""

ACTIVATIONS: Mapping[str, str] = {
    "elu": "ELU",
    "gelu": "GELU",
    "leaky_relu": "LeakyReLU",
    "relu": "ReLU",
    "selu": "SELU",
    "sigmoid": "Sigmoid",
    "silu": "SiLU",
    "tanh": "Tanh",
}
"""Name in the config → name in `torch.nn`."""

LEAST_WIDTH, GREATEST_WIDTH = 32, 256
"""Units of a hidden layer that the compiled kernels are made for."""

OBSERVATION_DTYPES = ("uint8", "int8", "uint16", "int16", "int32", "int64", "float16", "float32", "float64")
_DEVICES = ("auto", "cpu", "cuda")
_UPDATE_PATHS = ("auto", "sparse", "dense", "sb3")
_N_STEPS = HyperparameterSpec(64, "int", low=1)
_LAYER = HyperparameterSpec(64, "int", low=1)
_TARGET_KL = HyperparameterSpec(0.01, "float", low=0.0, low_is_open=True)
_NORMALIZE = HyperparameterSpec(True, "bool")
_MAX_HIDDEN_UNITS = HyperparameterSpec(64, "int", low=1)
_SPECIES_KEYS = (
    *HYPERPARAMETERS,
    "activation",
    "max_hidden_units",
    "net_arch",
    "normalize_advantage",
    "reward_weight",
    "target_kl",
    "update_path",
)
_TOP_KEYS = (*_SPECIES_KEYS, "device", "n_steps", "species")


@dataclass(frozen=True)
class SpeciesSettings:
    """What one species' PPO is built with.

    Attributes:
        hyperparameters: Values for every name in `HYPERPARAMETERS`, to start with.
        net_arch: Units of the hidden layers: `pi` of the actor, `vf` of the critic; to start with.
        has_twin_nets: Whether one list stands for both: then they have the same widths for ever.
        max_hidden_units: The most that PBT may make a hidden layer wide; None: each layer's own width in `net_arch`.
        activation: A name in `ACTIVATIONS`.
        normalize_advantage: Whether advantages are normalised per minibatch.
        target_kl: An update stops early beyond 1.5 times this; None never does.
        update_path: `sparse` or `dense`: compiled kernels; `sb3`: Stable-Baselines3's `train()`; `auto`: the fastest
            that can. All of them do the same, within rounding.
        reward_weight: By shaping term, to start with; 0 for those that are left out.
        shaping_terms: What the worlds offer for it.
        parameters: Of the worlds, likewise.
    """

    hyperparameters: Mapping[str, HyperparameterValue]
    net_arch: Mapping[str, tuple[int, ...]] = field(default_factory=lambda: {"pi": (64, 64), "vf": (64, 64)})
    activation: str = "relu"
    normalize_advantage: bool = True
    target_kl: float | None = None
    update_path: UpdatePath = "auto"
    has_twin_nets: bool = True
    max_hidden_units: int | None = None
    reward_weight: Mapping[str, float] = field(default_factory=dict)
    shaping_terms: tuple[str, ...] = ()
    parameters: Mapping[str, HyperparameterSpec] = field(default_factory=dict)

    @property
    def may_be_compiled(self) -> bool:
        """Whether the kernels of `agents.ppo.fast` fit, or may come to; `fast.capability` has the last word."""
        widths = [units for layers in self.net_arch.values() for units in layers]
        is_deep_enough = all(len(layers) == 2 for layers in self.net_arch.values())
        fits = is_deep_enough and min(widths) >= LEAST_WIDTH and max(widths) <= GREATEST_WIDTH
        may_come_to_fit = is_deep_enough and (self.max_hidden_units or 0) >= LEAST_WIDTH
        return (fits or may_come_to_fit) and self.activation == "relu" and self.update_path != "sb3"

    def hyperparameter_specs(self) -> dict[str, HyperparameterSpec]:
        """`HYPERPARAMETERS` with these settings' values as defaults, the widths of hidden layers, what worlds offer."""
        values = self.hyperparameters
        specs = {name: dataclasses.replace(spec, default=values[name]) for name, spec in HYPERPARAMETERS.items()}
        for name, layers in self.layers_by_width().items():
            (net, place), *_ = layers
            units = self.net_arch[net][place]
            specs[name] = HyperparameterSpec(
                units, "int", low=1, high=self.max_hidden_units or units, hint="raise learner.settings.max_hidden_units"
            )
        return specs | offered_specs(self.shaping_terms, self.reward_weight, self.parameters)

    def layers_by_width(self) -> dict[str, tuple[tuple[str, int], ...]]:
        """The hyperparameters that are widths: by name the layers, each as net and place, that are so wide."""
        if self.has_twin_nets:
            return {f"hidden_units_{place + 1}": (("pi", place), ("vf", place)) for place in range(self._depth("pi"))}
        nets = ((net, place) for net in ("pi", "vf") for place in range(self._depth(net)))
        return {f"{net}_hidden_units_{place + 1}": ((net, place),) for net, place in nets}

    def _depth(self, net: str) -> int:
        return len(self.net_arch[net])

    @property
    def widest(self) -> dict[str, tuple[int, ...]]:
        """`net_arch` as wide as PBT may make it."""
        return {net: tuple(self.max_hidden_units or units for units in layers) for net, layers in self.net_arch.items()}


@dataclass(frozen=True)
class PPOSettings:
    """What a learner is built with.

    Attributes:
        species: Per species.
        n_steps: Length of a rollout in env steps of each world.
        device: `cpu`, `cuda`, or `auto`: what there is.
    """

    species: Mapping[str, SpeciesSettings]
    n_steps: int = 64
    device: str = "cpu"


def parse_settings(settings: Mapping[str, Any], interface: Interface) -> PPOSettings:
    """Check the settings against each other and the environment's interface.

    Raises:
        UserError: One line per fault, keys relative to `settings`.
    """
    faults = interface_faults(interface)
    for name, space in interface.observation_spaces.items():
        if space.dtype is not None and str(space.dtype) not in OBSERVATION_DTYPES:
            faults.append(f"{name}: observations must be of {', '.join(OBSERVATION_DTYPES)}, got {space.dtype}")
    faults += [unknown(str(key), str(key), _TOP_KEYS, "key") for key in settings if key not in _TOP_KEYS]
    if "n_steps" in settings:
        faults += _number_faults("n_steps", settings["n_steps"], _N_STEPS)
    if settings.get("device", "cpu") not in _DEVICES:
        faults.append(f"device: must be one of {', '.join(_DEVICES)}, got {settings['device']!r}")
    shared = {key: value for key, value in settings.items() if key in _SPECIES_KEYS}
    faults += _species_faults("", shared)
    terms = dict.fromkeys(term for own in interface.shaping_terms.values() for term in own)
    faults += weight_faults("reward_weight", shared.get("reward_weight", {}), terms)
    overrides = _overrides(settings.get("species") or {}, interface, faults)
    if faults:
        raise UserError(*faults)
    species = {
        name: _species_settings(_with_offers(name, shared, overrides.get(name, {}), interface))
        for name in interface.species
    }
    if faults := [fault for name, own in species.items() for fault in _width_faults(name, own, overrides)]:
        raise UserError(*faults)
    return PPOSettings(
        species=species,
        n_steps=settings.get("n_steps", PPOSettings.n_steps),
        device=settings.get("device", PPOSettings.device),
    )


def _overrides(given: Any, interface: Interface, faults: list[str]) -> dict[str, Mapping[str, Any]]:
    """What stands under `species`, sound entries only; the others become faults."""
    if not isinstance(given, Mapping):
        faults.append(f"species: must map a species to its settings, got {given!r}")
        return {}
    overrides: dict[str, Mapping[str, Any]] = {}
    for name, own in given.items():
        path = f"species.{name}"
        if name not in interface.species:
            faults.append(unknown(path, str(name), interface.species, "species"))
        elif not isinstance(own, Mapping):
            faults.append(f"{path}: must map keys to values, got {own!r}")
        else:
            known = {key: value for key, value in own.items() if key in _SPECIES_KEYS}
            faults += [_misplaced(f"{path}.{key}", str(key)) for key in own if key not in _SPECIES_KEYS]
            faults += _species_faults(f"{path}.", known)
            terms = interface.shaping_terms.get(name, ())
            faults += weight_faults(f"{path}.reward_weight", known.get("reward_weight", {}), terms)
            overrides[name] = known
    return overrides


def _misplaced(path: str, key: str) -> str:
    if key in _TOP_KEYS:
        return f"{path}: holds for all species; give it as {key!r} at the top"
    return unknown(path, key, _SPECIES_KEYS, "key")


def _species_faults(prefix: str, given: Mapping[str, Any]) -> list[str]:
    """The faults of the keys that may stand at the top or under a species."""
    faults: list[str] = []
    for key, value in given.items():
        path = f"{prefix}{key}"
        if key in HYPERPARAMETERS:
            faults += _number_faults(path, value, HYPERPARAMETERS[key])
        elif key == "normalize_advantage":
            faults += _number_faults(path, value, _NORMALIZE)
        elif key == "target_kl" and value is not None:
            faults += _number_faults(path, value, _TARGET_KL)
        elif key == "max_hidden_units" and value is not None:
            faults += _number_faults(path, value, _MAX_HIDDEN_UNITS)
        elif key == "activation" and not (isinstance(value, str) and value in ACTIVATIONS):
            faults.append(unknown(path, str(value), ACTIVATIONS, f"activation {value!r}"))
        elif key == "update_path" and value not in _UPDATE_PATHS:
            faults.append(f"{path}: must be one of {', '.join(_UPDATE_PATHS)}, got {value!r}")
        elif key == "net_arch" and not is_net_arch(value):
            faults.append(f"{path}: must be a list of layer sizes or {{pi: [...], vf: [...]}}, got {value!r}")
    return faults


def _with_offers(name: str, shared: Mapping[str, Any], own: Mapping[str, Any], interface: Interface) -> dict[str, Any]:
    """What holds for a species, with what worlds offer for it; each weight of its own goes before that for all."""
    return {
        **shared,
        **own,
        "reward_weight": {**shared.get("reward_weight", {}), **own.get("reward_weight", {})},
        "shaping_terms": interface.shaping_terms.get(name, ()),
        "parameters": interface.parameters.get(name, {}),
    }


def _width_faults(name: str, settings: SpeciesSettings, overrides: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """That the nets may not be as wide as they are to begin with."""
    greatest = max((units for layers in settings.net_arch.values() for units in layers), default=0)
    if settings.max_hidden_units is None or settings.max_hidden_units >= greatest:
        return []
    path = f"species.{name}.max_hidden_units" if "max_hidden_units" in overrides.get(name, {}) else "max_hidden_units"
    return [f"{path}: must be at least {greatest}, as {name}'s net_arch has, got {settings.max_hidden_units}"]


def _number_faults(path: str, value: Any, spec: HyperparameterSpec) -> list[str]:
    return [] if is_legal(value, spec) else [f"{path}: must be {range_of(spec)}, got {value!r}"]


def is_net_arch(value: Any) -> bool:
    """Whether the value says how many units each hidden layer has: a list for both nets, or one each."""
    if isinstance(value, Mapping):
        return set(value) == {"pi", "vf"} and all(_is_layers(layers) for layers in value.values())
    return _is_layers(value)


def _is_layers(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(is_legal(units, _LAYER) for units in value)


def _species_settings(given: Mapping[str, Any]) -> SpeciesSettings:
    """The settings of one species from checked values."""
    values = {name: typed(given.get(name, spec.default), spec) for name, spec in HYPERPARAMETERS.items()}
    others = {key: value for key, value in given.items() if key not in HYPERPARAMETERS}
    if "net_arch" in others:
        layers = others["net_arch"]
        pi, vf = (layers["pi"], layers["vf"]) if isinstance(layers, Mapping) else (layers, layers)
        others["net_arch"] = {"pi": tuple(pi), "vf": tuple(vf)}
        others["has_twin_nets"] = not isinstance(layers, Mapping)
    if others.get("target_kl") is not None:
        others["target_kl"] = float(others["target_kl"])
    return SpeciesSettings(values, **others)
