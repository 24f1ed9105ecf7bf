local os = require("os")

-- Names have at most 52 characters, and there is no string library to cut a longer one: the uid stands for its sandbox.
local of = obj.metadata.name
if #of > 39 then
    of = "s-" .. obj.metadata.uid
end

-- It belongs to nobody: no sync prunes it, and it outlives its sandbox.
local snapshot = {}
snapshot.apiVersion = obj.apiVersion
snapshot.kind = "SandboxSnapshot"
snapshot.metadata = {}
snapshot.metadata.name = of .. "-" .. os.date("!%y%m%d%H%M%S")
snapshot.metadata.namespace = obj.metadata.namespace
snapshot.spec = {}
snapshot.spec.sandboxRef = {}
snapshot.spec.sandboxRef.name = obj.metadata.name

local impacted = {}
impacted.operation = "create"
impacted.resource = snapshot
local result = {}
result[1] = impacted
return result
