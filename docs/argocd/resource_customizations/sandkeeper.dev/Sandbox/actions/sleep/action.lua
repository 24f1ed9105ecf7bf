-- Where Git says nothing of spec.lifecycle.state this is no drift, and no sync takes it back.
if obj.spec.lifecycle == nil then
    obj.spec.lifecycle = {}
end
obj.spec.lifecycle.state = "Sleeping"
return obj
