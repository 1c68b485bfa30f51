from .models import DEMAND_MODELS as DEMAND_MODELS, DemandModel as DemandModel, find_model as find_model
