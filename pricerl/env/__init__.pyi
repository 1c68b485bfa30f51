from .config import EnvConfig as EnvConfig
from .dynamics import Dynamics as Dynamics
from .gym_adapter import GymVectorEnv as GymVectorEnv
from .pricing import PricingEnv as PricingEnv, PricingVectorEnv as PricingVectorEnv
from .product import Product as Product
from .state import Outcome as Outcome, State as State

ENV_ID: str

def register_envs() -> None: ...
