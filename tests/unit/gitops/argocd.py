"""Argo CD's way with the Lua of a resource customization, by a real Lua of the version that it has.

What scripts may use, how objects come in and how they come out is as in Argo CD 3 (util/lua/lua.go): the base, package
and table libraries, and of the os library date and time.
"""

from pathlib import Path
from typing import Any

from lupa import lua51

from argocd.customizations import CUSTOMIZATIONS

HEALTH = {"Healthy", "Progressing", "Degraded", "Suspended"}
_SANDBOX = """
local loaded = {time = os.time, date = os.date}
for _, name in ipairs({"coroutine", "debug", "io", "math", "os", "string", "bit", "jit", "python"}) do
    _G[name] = nil
    package.loaded[name] = nil
end
getmetatable("").__index = nil
package.preload.os = function() return loaded end
"""

Json = dict[str, Any]


def folder_of(obj: Json) -> Path:
    """Folder of what is known of an object's kind."""
    return CUSTOMIZATIONS / str(obj["apiVersion"]).partition("/")[0] / str(obj["kind"])


def health(obj: Json) -> Json:
    """Status and message that Argo CD shows for an object."""
    found = _run(folder_of(obj) / "health.lua", obj)
    assert set(found) == {"status", "message"}
    assert found["status"] in HEALTH
    assert found["message"]
    return dict(found)


def actions(obj: Json) -> dict[str, Json]:
    """Actions that Argo CD offers for an object, by name."""
    return dict(_run(folder_of(obj) / "actions" / "discovery.lua", obj))


def offered(obj: Json) -> set[str]:
    """Names of the actions that can be chosen for an object."""
    return {name for name, action in actions(obj).items() if not action.get("disabled")}


def act(action: str, obj: Json) -> tuple[str, Json]:
    """Operation and object that an action makes of an object: one, of those that there may be."""
    result = _run(folder_of(obj) / "actions" / action / "action.lua", obj)
    if isinstance(result, dict):
        return "patch", _cleaned(result, obj)
    (impacted,) = result
    assert impacted["operation"] == "create"
    return "create", dict(impacted["resource"])


def _run(script: Path, obj: Json) -> Any:
    lua = lua51.LuaRuntime(register_eval=False, register_builtins=False, unpack_returned_tuples=True)
    lua.execute(_SANDBOX)
    lua.globals().obj = _to_lua(lua, obj)
    return _to_json(lua.execute(script.read_text()))


def _to_lua(lua: lua51.LuaRuntime, value: Any) -> Any:
    if isinstance(value, dict):
        return lua.table_from({name: _to_lua(lua, each) for name, each in value.items()})
    if isinstance(value, list):
        return lua.table_from([_to_lua(lua, each) for each in value])
    return value


def _to_json(value: Any) -> Any:
    """Read a value of Lua's as layeh.com/gopher-json does: an empty table is an empty list, whatever it was."""
    if lua51.lua_type(value) != "table":
        return int(value) if isinstance(value, float) and value.is_integer() else value
    found = {key: _to_json(each) for key, each in value.items()}
    if all(isinstance(key, str) for key in found):
        return found or []
    assert set(found) == set(range(1, len(found) + 1)), f"neither a list nor an object: {found}"
    return [found[number] for number in range(1, len(found) + 1)]


def _cleaned(made: Any, given: Any) -> Any:
    """Give back the objects that came out as empty lists (cleanReturnedObj)."""
    if isinstance(made, dict) and isinstance(given, dict):
        return {name: _cleaned(each, given[name]) if name in given else each for name, each in made.items()}
    if isinstance(made, list) and isinstance(given, list):
        return [_cleaned(*pair) for pair in zip(made, given, strict=False)] + made[len(given) :]
    return {} if made == [] and isinstance(given, dict) else made
