local os = require("os")

-- Another value asks for a new pod. What changed in the old one is packed first.
if obj.metadata.annotations == nil then
    obj.metadata.annotations = {}
end
obj.metadata.annotations["sandkeeper.dev/restart"] = os.date("!%Y-%m-%dT%H:%M:%SZ")
return obj
