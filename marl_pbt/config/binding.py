"""The `pbt` section bound to a learner: names and types checked against it, then in the form that decides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from marl_pbt.config.constraint_checks import constraint_faults
from marl_pbt.config.distributions import RANGES, Declaration, distribution_of, initial_of
from marl_pbt.config.faults import Fault, did_you_mean, shown
from marl_pbt.config.loading import LoadedConfig
from marl_pbt.config.models import PBTSection
from marl_pbt.config.strategies import FactorRange
from marl_pbt.constraints import Constraint
from marl_pbt.decision import Rules
from marl_pbt.explore import Explorer, Perturb, Proposal, Resample
from marl_pbt.hyperparameters import ContinuousFactors, DiscreteFactors, Hyperparameter
from marl_pbt.own_functions import OwnDonor, OwnFunction, OwnLastWord, OwnProposal, OwnSelection
from marl_pbt.pb2 import PB2
from marl_pbt.protocols import HyperparameterSpec, HyperparameterValue, LearnerDescription, UserError
from marl_pbt.selection import (
    BinaryTournament,
    DonorChoice,
    Selection,
    Truncation,
    TTest,
    rank_weighted_donor,
    uniform_donor,
)

_FITTING: Mapping[str, tuple[str, ...]] = {
    "float": ("loguniform", "uniform", "choice", "ordered"),
    "int": ("lograndint", "randint", "choice", "ordered"),
    "bool": ("bool", "choice"),
    "str": ("choice", "ordered"),
}
_NEEDS = "must have pbt.fitness: cross_play, which scores in matches in the environment as configured"
_COUNTERPART = {"loguniform": "lograndint", "uniform": "randint", "lograndint": "loguniform", "randint": "uniform"}


@dataclass(frozen=True)
class BoundPBT:
    """What the `pbt` section means for one learner.

    Attributes:
        declared: Per species: what may change, in the order of the learner's description.
        rules: What decides over an exploit.
        explorer: How hyperparameters move; its constraints hold where a species has all their names.
        defaults: Per species: the learner's settings, all of them.
    """

    declared: Mapping[str, tuple[Hyperparameter, ...]]
    rules: Rules
    explorer: Explorer
    defaults: Mapping[str, Mapping[str, HyperparameterValue]]


@dataclass(frozen=True)
class _Named:
    """A declaration for one hyperparameter of one species."""

    key: str
    species: str
    name: str
    spec: HyperparameterSpec
    declaration: Declaration


def bind(loaded: LoadedConfig, description: LearnerDescription, species: Sequence[str]) -> BoundPBT:
    """Bind the `pbt` section to a learner.

    Args:
        loaded: The config.
        description: What the learner says of itself.
        species: Who plays.

    Raises:
        UserError: A name that the learner does not have, a distribution of the wrong type, bounds beyond the learner's,
            constraints that cannot be kept, a function of one's own that cannot be had; one line each.
    """
    pbt = loaded.config.pbt
    specs = {name: description.hyperparameters.get(name, {}) for name in species}
    faults: list[Fault] = []
    named: dict[tuple[str, str], _Named] = {}
    # Names without a species first: those with one have the last word.
    for name in sorted(pbt.hyperparameters, key=lambda name: _is_specific(name, species)):
        for each in _resolve(name, pbt.hyperparameters[name], specs, faults):
            named[each.species, each.name] = each
    for each in named.values():
        faults += _unfit(each)
        if each.spec.changes_environment and pbt.fitness != "cross_play":
            faults.append(Fault(each.key, f"changes the worlds that scores come from; {_NEEDS}, got {pbt.fitness}"))
    constraints = tuple(Constraint.parse(text) for text in pbt.constraints)
    if not faults:
        bounds = {pair: each.declaration for pair, each in named.items()}
        faults = list(constraint_faults(constraints, bounds, specs))
    if faults:
        raise UserError(*dict.fromkeys(loaded.source.line(fault) for fault in faults))
    declared = {
        name: tuple(_hyperparameter(named[name, key]) for key in specs[name] if (name, key) in named)
        for name in species
    }
    defaults = {name: {key: spec.default for key, spec in specs[name].items()} for name in species}
    bound = BoundPBT(declared, rules_of(pbt), explorer_of(pbt, constraints), defaults)
    _check_own(loaded, bound)
    return bound


def rules_of(pbt: PBTSection) -> Rules:
    """What decides over an exploit."""
    return Rules(
        selection=_selection_of(pbt),
        population=pbt.population,
        burn_in=pbt.interval if pbt.burn_in is None else pbt.burn_in,
        quorum=pbt.quorum,
        min_gap=pbt.min_gap.absolute,
        min_gap_standard_errors=pbt.min_gap.standard_errors,
        maximize=pbt.mode == "max",
        compare=pbt.compare,
        donor=_donor_of(pbt),
        rescue_top=pbt.quantile_top,
        sub_populations=None if pbt.sub_populations is None else pbt.sub_populations.bound(pbt.population),
    )


def explorer_of(pbt: PBTSection, constraints: Sequence[Constraint]) -> Explorer:
    """How hyperparameters move."""
    own = OwnLastWord("pbt.after_explore", pbt.after_explore) if pbt.after_explore is not None else None
    return Explorer(_proposal_of(pbt), constraints, own)


def _proposal_of(pbt: PBTSection) -> Proposal:
    factors = pbt.perturb_factors
    draw = ContinuousFactors(*factors.loguniform) if isinstance(factors, FactorRange) else DiscreteFactors(factors)
    perturb = Perturb(draw, pbt.resample_probability)
    ours: dict[str, Proposal] = {
        "perturb": perturb,
        "resample": Resample(),
        "pb2": PB2(perturb, maximize=pbt.mode == "max"),
    }
    return ours.get(pbt.explorer) or OwnProposal("pbt.explorer", pbt.explorer)


def _selection_of(pbt: PBTSection) -> Selection:
    ours: dict[str, Selection] = {
        "truncation": Truncation(pbt.quantile_bottom, pbt.quantile_top),
        "t_test": TTest(),
        "binary_tournament": BinaryTournament(),
    }
    return ours.get(pbt.selection) or OwnSelection("pbt.selection", pbt.selection)


def _donor_of(pbt: PBTSection) -> DonorChoice:
    ours: dict[str, DonorChoice] = {"uniform": uniform_donor, "rank": rank_weighted_donor}
    return ours.get(pbt.donor) or OwnDonor("pbt.donor", pbt.donor)


def _check_own(loaded: LoadedConfig, bound: BoundPBT) -> None:
    """That the user's own functions can be imported and called, before anything starts."""
    faults: list[str] = []
    explorer = bound.explorer
    strategies: tuple[object, ...] = (
        bound.rules.selection,
        bound.rules.donor,
        explorer.proposal,
        explorer.last_word,
    )
    for strategy in strategies:
        if isinstance(strategy, OwnFunction):
            try:
                strategy.load()
            except UserError as fault:
                faults += fault.faults
    if faults:
        raise loaded.placed("", UserError(*faults))


def _is_specific(name: str, species: Sequence[str]) -> bool:
    return name.partition(".")[0] in species


def _resolve(
    name: str,
    declaration: Declaration,
    specs: Mapping[str, Mapping[str, HyperparameterSpec]],
    faults: list[Fault],
) -> Iterator[_Named]:
    """The hyperparameters that a declared name stands for; none is a fault."""
    key = f"pbt.hyperparameters.{name}"
    head, _, rest = name.partition(".")
    owners, wanted = ((head,), rest) if head in specs else (tuple(specs), name)
    found = [owner for owner in owners if wanted in specs[owner]]
    yield from (_Named(key, owner, wanted, specs[owner][wanted], declaration) for owner in found)
    if found:
        return
    offered = sorted({offer for owner in owners for offer in specs[owner]})
    if head not in specs and rest in offered:
        faults.append(Fault(key, f"unknown species {head!r}{did_you_mean(head, specs) or _among(specs)}"))
    else:
        hint = did_you_mean(wanted, offered) or _among(offered)
        faults.append(Fault(key, f"unknown hyperparameter {shown(wanted)}{hint}"))


def _among(names: Mapping[str, object] | Sequence[str]) -> str:
    return f"; there are {', '.join(names)}" if names else "; there are none"


def _unfit(each: _Named) -> Iterator[Fault]:
    """A distribution of the wrong type, or beyond the learner's bounds."""
    kind, spec = each.declaration.kind, each.spec
    fitting = _FITTING[spec.kind]
    if kind not in fitting:
        better = _COUNTERPART.get(kind)
        wanted = better if better in fitting else " or ".join(fitting)
        article = "an" if spec.kind == "int" else "a"
        yield Fault(each.key, f"{each.name} is {article} {spec.kind}; must be declared as {wanted}, got {kind}")
        return
    own = f"{each.key}.{kind}"
    yield from (Fault(own, _illegal(value, spec)) for value in each.declaration.arguments if not is_legal(value, spec))


def is_legal(value: HyperparameterValue, spec: HyperparameterSpec) -> bool:
    """Whether a value is of the learner's type and within its bounds."""
    if spec.kind in ("bool", "str"):
        return isinstance(value, {"bool": bool, "str": str}[spec.kind])
    if isinstance(value, bool | str) or (spec.kind == "int" and value != int(value)):
        return False
    return (spec.low < value if spec.low_is_open else spec.low <= value) and value <= spec.high


def _illegal(value: HyperparameterValue, spec: HyperparameterSpec) -> str:
    kinds = {"float": "a number", "int": "a whole number", "bool": "true or false", "str": "a string"}
    if spec.kind in ("bool", "str"):
        return f"must be {kinds[spec.kind]}, got {shown(value)}"
    opening = "(" if spec.low_is_open or spec.low == float("-inf") else "["
    closing = ")" if spec.high == float("inf") else "]"
    hint = f"; {spec.hint}" if spec.hint else ""
    return f"must be {kinds[spec.kind]} in {opening}{spec.low:g}, {spec.high:g}{closing}, got {shown(value)}{hint}"


def _hyperparameter(each: _Named) -> Hyperparameter:
    declaration = each.declaration if each.declaration.kind in RANGES else _typed(each.declaration, each.spec)
    return Hyperparameter(each.species, each.name, distribution_of(declaration), initial_of(declaration))


def _typed(declaration: Declaration, spec: HyperparameterSpec) -> Declaration:
    """Listed numbers in the type that the learner wants: types come from declarations, not from values."""
    convert = {"float": float, "int": int}.get(spec.kind)
    if convert is None:
        return declaration
    name = "both" if declaration.kind == "bool" else declaration.kind
    return declaration.model_copy(update={name: tuple(convert(value) for value in declaration.arguments)})
