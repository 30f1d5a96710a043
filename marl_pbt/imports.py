"""Import strings: objects from `package.module:name`, and where our example rooms and configs lie."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import os
import pkgutil
import re
import sys
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from marl_pbt.protocols import UserError

_FORM = re.compile(r"(?P<module>\w+(?:\.\w+)*):(?P<name>\w+(?:\.\w+)*)")


def load_object(import_string: str, wanted: type[Any] | Callable[[Any], bool], key: str) -> Any:
    """Import what a config names.

    Args:
        import_string: `package.module:name`.
        wanted: A runtime-checkable protocol, or a question such as `callable`.
        key: The config's key, for the errors.

    Raises:
        UserError: Not an import string; no such module; its import fails; no such name in it; not what is wanted.
    """
    form = _FORM.fullmatch(import_string)
    if form is None:
        raise UserError(f"{key}: must be an import string 'package.module:name', got {import_string!r}")
    found: Any = _import(form["module"], key)
    walked = form["module"]
    for name in form["name"].split("."):
        if not hasattr(found, name):
            hint = _did_you_mean(name, dir(found))
            raise UserError(f"{key}: {walked} has no {name!r}{hint}, got {import_string!r}")
        found, walked = getattr(found, name), f"{walked}.{name}"
    _check(found, wanted, import_string, key)
    return found


def ensure_rooms_on_path() -> None:
    """Make `envs` and `agents` importable, wherever marl_pbt is installed.

    Their folder goes right behind the working directory's: a user's own packages come before ours, and ours before
    whatever else is installed under these names. Calling it again changes nothing.
    """
    rooms = _rooms()
    if rooms is None:
        return
    here = next((place for place, entry in enumerate(sys.path) if _is_working_directory(entry)), None)
    if here is None and not sys.flags.safe_path:
        # A console script's first entry is its own folder; `python -m` has the working directory there.
        sys.path.insert(0, os.getcwd())  # noqa: PTH109  # entries are strings
        here = 0
    sys.path[:] = [entry for entry in sys.path if entry != str(rooms) or _is_working_directory(entry)]
    if not _is_working_directory(str(rooms)):
        sys.path.insert(0 if here is None else here + 1, str(rooms))


def find_config(path: str | os.PathLike[str]) -> Path:
    """The file as given, else the one of that relative name that is installed with marl_pbt.

    Raises:
        UserError: There is neither.
    """
    given = Path(path)
    if given.exists():
        return given
    rooms = _rooms()
    if rooms is not None and not given.is_absolute() and ".." not in given.parts and (rooms / given).is_file():
        return rooms / given
    folders = [given.parent] + ([rooms / "configs"] if rooms is not None else [])
    siblings = {file.stem: file.name for folder in folders if folder.is_dir() for file in folder.glob("*.yaml")}
    raise UserError(f"{os.fspath(path)}: no such file{_did_you_mean(given.stem, siblings)}")


def bundled_configs() -> list[Path]:
    """The configs that are installed with marl_pbt."""
    rooms = _rooms()
    return [] if rooms is None else sorted((rooms / "configs").glob("*.yaml"))


def bundled_panels() -> list[Path]:
    """The folders of reference policies that are installed with marl_pbt, one per environment."""
    rooms = _rooms()
    return [] if rooms is None else sorted(path for path in (rooms / "agents" / "panels").glob("*") if path.is_dir())


def _rooms() -> Path | None:
    """The folder that holds `envs`, `agents`, `configs`: inside a wheel, or the checkout."""
    package = Path(__file__).resolve().parent
    candidates = (package / "_bundled", package.parent)
    return next((folder for folder in candidates if (folder / "agents").is_dir()), None)


def _is_working_directory(entry: str) -> bool:
    return entry == "" or entry == os.getcwd()  # noqa: PTH109  # entries are strings


def _import(module: str, key: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as fault:
        missing = fault.name or ""
        if missing == module or module.startswith(f"{missing}."):
            raise UserError(f"{key}: no module {module!r}{_nearby(missing)}") from None
        raise _failed_import(module, key, fault) from None
    except (Exception, SystemExit) as fault:
        raise _failed_import(module, key, fault) from None


def _nearby(missing: str) -> str:
    """What there is instead of the missing module, and where its package was found: it may be somebody else's."""
    parent = missing.rpartition(".")[0]
    package = sys.modules.get(parent)
    folders = list(getattr(package, "__path__", [])) if parent else [entry or "." for entry in sys.path]
    siblings = [info.name for info in pkgutil.iter_modules(folders)]
    hint = _did_you_mean(missing.rpartition(".")[2], siblings)
    where = f"; {parent!r} is {folders[0]}" if parent and folders else ""
    return hint + where if hint or where else f" on the path, which begins with {sys.path[0] or os.curdir!r}"


def _failed_import(module: str, key: str, fault: BaseException) -> UserError:
    frames = [frame for frame in traceback.extract_tb(fault.__traceback__) if "importlib" not in frame.filename]
    where = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
    told = " ".join(f"{type(fault).__name__}: {fault}".split())
    return UserError(f"{key}: importing {module!r} failed: {told}{where}")


def _check(found: Any, wanted: type[Any] | Callable[[Any], bool], import_string: str, key: str) -> None:
    if not isinstance(wanted, type):
        if not wanted(found):
            raise UserError(f"{key}: must be {wanted.__name__}, {import_string!r} is {_kind(found)}")
        return
    if isinstance(found, type) and hasattr(wanted, "_is_protocol"):
        raise UserError(f"{key}: must be a {wanted.__name__} object, {import_string!r} is a class")
    if not isinstance(found, wanted):
        offers = [name for name in dir(wanted) if not name.startswith("_") and not hasattr(found, name)]
        lacks = f" without {', '.join(offers)}" if offers else ""
        raise UserError(f"{key}: must be a {wanted.__name__}, {import_string!r} is {_kind(found)}{lacks}")


def _kind(found: Any) -> str:
    kind = type(found).__name__
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"


def _did_you_mean(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, [name for name in known if not name.startswith("__")], n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
