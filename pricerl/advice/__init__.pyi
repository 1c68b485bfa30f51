from .describe import advise as advise, check_horizon as check_horizon
from .files import About as About, AdviceFiles as AdviceFiles, ReportConfig as ReportConfig
from .files import check_folder as check_folder, render_files as render_files
from .result import DayAdvice as DayAdvice, ProposedPath as ProposedPath, ProductAdvice as ProductAdvice
