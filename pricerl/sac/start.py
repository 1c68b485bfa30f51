"""Weights from which training starts: those that ship with pricerl, or others of the same form."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from pricerl.errors import UsageError
from pricerl.sac.agent import SACAgent
from pricerl.sac.config import NetworkConfig

SHIPPED = Path(__file__).with_name("weights") / "policy.safetensors"
"""Weights that ship; the text next to them says how they were trained."""

SHIPPED_CATEGORY = SHIPPED.with_name("category.safetensors")
"""Weights for categories that ship."""

ABOUT = "pricerl"
"""Entry of the file's header: the observations and the network that the weights fit."""


def pack(agent: SACAgent, network: NetworkConfig, layout: str) -> bytes:
    """Return actor, one of the critics and temperature in half precision, and the input statistics, with what they fit.

    All critics of an ensemble start from that one; dropout and noise part them.
    """
    kept = {name: value.half() for name, value in agent.named_parameters() if not name.startswith("target_")}
    kept = {name: value[:1] if name.startswith("critic.") else value for name, value in kept.items()}
    kept |= dict(agent.named_buffers())
    about = json.dumps({"layout": layout, "network": asdict(network)})  # one entry: safetensors shuffles several
    return save({name: value.contiguous().cpu() for name, value in kept.items()}, {ABOUT: about})


def read_network(path: Path) -> NetworkConfig:
    """Return the network that a file of weights fits."""
    with safe_open(path, "pt") as file:
        return NetworkConfig(**json.loads(file.metadata()[ABOUT])["network"])


def start_from(path: Path, agent: SACAgent, network: NetworkConfig, layout: str) -> str:
    """Load weights for observations of a ``layout``; return why they do not fit, empty if they do.

    Raises:
        UsageError: there is no such file of weights.
    """
    try:
        with safe_open(path, "pt") as file:
            about = json.loads((file.metadata() or {}).get(ABOUT, "{}"))
            weights: dict[str, Tensor] = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise UsageError(f"model.init: {path} is no file of weights, as export --format weights writes it") from error
    if about.get("layout") != layout:
        return "they read other observations"
    stored = {**asdict(NetworkConfig()), **about["network"]}  # settings that are younger than the weights
    wanted = json.loads(json.dumps(asdict(network)))
    if changed := [name for name in wanted if stored.get(name) != wanted[name]]:
        return f"model.network.{changed[0]} is {stored.get(changed[0])} there"
    whole = agent.state_dict()
    try:
        weights = {name: value.expand_as(whole[name]) for name, value in weights.items()}
    except (KeyError, RuntimeError):  # a module of one's own has replaced a part
        return "they are of another network"
    agent.load_state_dict(weights, strict=False)
    agent.target_critic.load_state_dict(agent.critic.state_dict())
    return ""
