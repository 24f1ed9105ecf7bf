local os = require("os")

-- One that was told to sleep is told to run; one that fell asleep by itself wakes because somebody uses it.
if obj.spec.lifecycle ~= nil and obj.spec.lifecycle.state == "Sleeping" then
    obj.spec.lifecycle.state = "Running"
end
if obj.metadata.annotations == nil then
    obj.metadata.annotations = {}
end
obj.metadata.annotations["sandkeeper.dev/last-activity"] = os.date("!%Y-%m-%dT%H:%M:%SZ")
return obj
