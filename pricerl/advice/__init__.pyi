from .decision import Decision as Decision, DecisionConfig as DecisionConfig, decide as decide
from .files import check_folder as check_folder
from .publish import About as About, AdviceFiles as AdviceFiles, ReportConfig as ReportConfig
from .recommend import advise as advise, check_horizon as check_horizon
from .result import DayAdvice as DayAdvice, Gain as Gain, ProductAdvice as ProductAdvice
