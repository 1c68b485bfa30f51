from .config import EnvConfig as EnvConfig
from .dynamics import Dynamics as Dynamics
from .gym_adapter import GymVectorEnv as GymVectorEnv
from .pricing import PricingEnv as PricingEnv, PricingVectorEnv as PricingVectorEnv
from .registration import ENV_ID as ENV_ID, register_envs as register_envs
from .state import Outcome as Outcome, State as State
