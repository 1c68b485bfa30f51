from .case import Case as Case, Course as Course, Proposed as Proposed
from .chain import DECIDERS as DECIDERS, decide_price as decide_price
from .config import DecisionConfig as DecisionConfig
from .decision import Decision as Decision, decide as decide
from .standing import Standing as Standing
