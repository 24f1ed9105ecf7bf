-- SandboxSnapshot has observedGeneration and the condition Ready.
-- What each reason means, and what heals it, stands in docs/snapshots.md, States.
local hs = {status = "Progressing", message = "Waiting for the operator."}

-- Nobody has to do anything yet.
local on_its_way = {Pending = true, Quiescing = true, Copying = true, Deleting = true}

local ready = nil
if obj.status ~= nil and obj.status.conditions ~= nil then
    for _, condition in ipairs(obj.status.conditions) do
        if condition.type == "Ready" then
            ready = condition
        end
    end
end

if ready == nil or obj.status.observedGeneration == nil then
    return hs
end

-- Nothing but its end can be changed, so what was said of a former generation holds.
hs.message = ready.reason .. ": " .. ready.message
if ready.status == "True" then
    hs.status = "Healthy"
elseif not on_its_way[ready.reason] then
    hs.status = "Degraded"
end
return hs
