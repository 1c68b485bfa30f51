"""pricerl: learn a daily price policy from a seller's own history with Soft Actor-Critic."""

import logging
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

import lazy_loader

__version__ = "1.0.0"

logging.getLogger(__name__).addHandler(logging.NullHandler())  # silent unless a program asks for its lines

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


class _EnvRegistrar(MetaPathFinder):
    """Finder by which an import of Gymnasium also registers the environments; Gymnasium itself has no plugins."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "gymnasium":
            return None
        found = (finder.find_spec(fullname, path, target) for finder in sys.meta_path if finder is not self)
        spec = next(filter(None, found), None)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_register(module: ModuleType) -> None:
                execute(module)
                import_module("pricerl.env").register_envs()

            spec.loader.exec_module = execute_and_register  # type: ignore[method-assign]
        return spec


if "gymnasium" in sys.modules:
    import_module("pricerl.env").register_envs()
else:  # light commands do without it; one finder remains however often this module is loaded
    sys.meta_path[:] = [finder for finder in sys.meta_path if type(finder).__qualname__ != _EnvRegistrar.__qualname__]
    sys.meta_path.insert(0, _EnvRegistrar())
