"""Policies written for other tools: a zip for Stable-Baselines3's `PPO.load`, an ONNX graph.

Every file is read back before it is given away, and must answer as the policy does; see `probe`. Importing this
package imports neither torch nor onnx.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from agents.checks import checked_values
from agents.ppo.architecture import check_architecture
from agents.ppo.offered import specs_for
from agents.ppo.settings import HYPERPARAMETERS
from agents.ppo.widths import fixed_widths
from marl_pbt.protocols import UserError

if TYPE_CHECKING:
    from marl_pbt.protocols import PortablePolicy

FORMATS: Mapping[str, str] = {
    ".zip": "Stable-Baselines3 zip, opened with PPO.load",
    ".onnx": "ONNX graph: observations → logits, action, value",
}
"""By suffix of the file."""


def export_policy(policy: PortablePolicy, suffix: str) -> bytes:
    """The content of a file of this format; the policy may be a stranger's.

    Raises:
        UserError: There is no such format, or a package is missing.
        ValueError: Tensors or spaces do not fit the architecture, a hyperparameter is unknown or not legal, what the
            policy answers is not finite, or the file, read back, does not answer as the policy does.
    """
    check_architecture(policy.architecture)
    known = {
        **HYPERPARAMETERS,
        **fixed_widths(policy.architecture["net_arch"]),
        **specs_for(policy.hyperparameters),
    }
    checked_values("hyperparameters", policy.hyperparameters, known)
    if suffix == ".zip":
        from agents.ppo.exporting.sb3_zip import sb3_zip

        return sb3_zip(policy)
    if suffix == ".onnx":
        from agents.ppo.exporting.onnx_file import onnx_file

        return onnx_file(policy)
    raise UserError(f"export to {suffix or 'a file without suffix'}: no such format; known are {', '.join(FORMATS)}")


__all__ = ["FORMATS", "export_policy"]
