from .config import DemandConfig as DemandConfig
from .models import DEMAND_MODELS as DEMAND_MODELS, DemandModel as DemandModel
