from .agent import SACAgent as SACAgent
from .cloning import Demonstrations as Demonstrations, clone as clone
from .checks import check_finite as check_finite
from .config import NetworkConfig as NetworkConfig, ReplayConfig as ReplayConfig, SACConfig as SACConfig
from .layers import InputNormalization as InputNormalization
from .losses import (
    actor_loss as actor_loss,
    critic_loss as critic_loss,
    polyak_update as polyak_update,
    tanh_gaussian_log_prob as tanh_gaussian_log_prob,
    td_target as td_target,
    temperature_loss as temperature_loss,
    value_bounds as value_bounds,
)
from .networks import Actor as Actor, Critic as Critic
from .optimizer import Adam as Adam
from .replay import ReplayBuffer as ReplayBuffer, Transition as Transition
from .update import (
    Gradients as Gradients,
    Optimizers as Optimizers,
    SACUpdate as SACUpdate,
    SharedUpdate as SharedUpdate,
    make_optimizers as make_optimizers,
)
