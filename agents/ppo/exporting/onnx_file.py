"""A policy as an ONNX graph: observations in, logits, greedy action, value out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from agents.ppo.exporting.probe import Probe, probe_of
from marl_pbt.protocols import UserError

if TYPE_CHECKING:
    import onnx

    from marl_pbt.protocols import PortablePolicy

MISSING = "export to .onnx: needs the package onnx, `pip install marl-pbt[onnx]`"


def onnx_file(policy: PortablePolicy) -> bytes:
    """Write the graph; see `agents.ppo.exporting.onnx_graph` for what it looks like.

    Raises:
        UserError: The package onnx is not installed.
        ValueError: Tensors or spaces do not fit the architecture, an answer is not finite, or what was written does not
            answer as the policy does.
    """
    try:
        import onnx
    except ImportError:
        raise UserError(MISSING) from None
    from agents.ppo.exporting.onnx_graph import model_of

    probe = probe_of(policy)
    content: bytes = model_of(policy).SerializeToString()
    model = onnx.load_model_from_string(content)
    onnx.checker.check_model(model, full_check=True)
    _check(model, probe)
    return content


def _check(model: onnx.ModelProto, probe: Probe) -> None:
    """Hold the graph, run by ONNX's reference implementation, against our torch policy."""
    from onnx.reference import ReferenceEvaluator

    names = ["logits", "action", "value"]
    answers = ReferenceEvaluator(model).run(names, {"observations": probe.observations})
    logits, actions, values = (np.asarray(answer) for answer in answers)
    probe.check_numbers("logits", logits)
    probe.check_actions(actions)
    probe.check_numbers("values", values)
