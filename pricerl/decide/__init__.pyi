from .case import Case as Case, Course as Course, Proposed as Proposed
from .chain import DECIDERS as DECIDERS, decide_price as decide_price
from .decision import Decision as Decision, DecisionConfig as DecisionConfig, decide as decide
from .standing import Standing as Standing
