"""The seams of the framework: what worlds, a learner, a policy and a board must offer.

Everything that marl_pbt trains comes in through these protocols, by import string from the config. `envs/` and
`agents/` are their examples; nothing in marl_pbt knows more of an environment or an algorithm than what stands here.
To read on: `worlds`, `policies`, `learners` (with `descriptions`, what is known of one), `board`.
"""

from marl_pbt.protocols.board import Board
from marl_pbt.protocols.descriptions import (
    Clocks,
    FinishedEpisode,
    HyperparameterSpec,
    Interface,
    LearnerDescription,
    TrainingReport,
)
from marl_pbt.protocols.errors import DivergedError, NotFiniteError, UserError
from marl_pbt.protocols.guests import Guest, HostsGuests
from marl_pbt.protocols.learners import (
    Exports,
    Imports,
    Learner,
    LearnerKind,
    PortablePolicy,
    TellsArchitecture,
    WarmsUp,
)
from marl_pbt.protocols.policies import Policy
from marl_pbt.protocols.shaping import OffersParameters, OffersShaping, Parameter
from marl_pbt.protocols.values import (
    LARGEST,
    LIVES_ON,
    TERMINATED,
    TRUNCATED,
    HyperparameterValue,
    OptimizerState,
    PlaySpaces,
    Tensors,
)
from marl_pbt.protocols.worlds import Environment, Episode, OffersBaselines, StepResult, Worlds

__all__ = [
    "LARGEST",
    "LIVES_ON",
    "TERMINATED",
    "TRUNCATED",
    "Board",
    "Clocks",
    "DivergedError",
    "Environment",
    "Episode",
    "Exports",
    "FinishedEpisode",
    "Guest",
    "HostsGuests",
    "HyperparameterSpec",
    "HyperparameterValue",
    "Imports",
    "Interface",
    "Learner",
    "LearnerDescription",
    "LearnerKind",
    "NotFiniteError",
    "OffersBaselines",
    "OffersParameters",
    "OffersShaping",
    "OptimizerState",
    "Parameter",
    "PlaySpaces",
    "Policy",
    "PortablePolicy",
    "StepResult",
    "TellsArchitecture",
    "Tensors",
    "TrainingReport",
    "UserError",
    "WarmsUp",
    "Worlds",
]
