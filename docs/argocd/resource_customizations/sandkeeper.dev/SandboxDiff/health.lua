-- SandboxDiff is in kstatus format: observedGeneration, and conditions Ready, Reconciling and Stalled.
-- What each reason means, and what heals it, stands in docs/diffs.md, States.
local hs = {status = "Progressing", message = "Waiting for the operator."}

-- Nobody has to do anything yet.
local on_its_way = {
    Pending = true,
    Preparing = true,
    Comparing = true,
    SnapshotNotReady = true,
    Unschedulable = true,
    VolumePending = true,
}

local conditions = {}
if obj.status ~= nil and obj.status.conditions ~= nil then
    for _, condition in ipairs(obj.status.conditions) do
        conditions[condition.type] = condition
    end
end

local ready = conditions["Ready"]
if ready == nil or obj.status.observedGeneration == nil then
    return hs
end

-- Nothing but its end can be changed, so what was said of a former generation holds.
hs.message = ready.reason .. ": " .. ready.message
if ready.status == "True" then
    hs.status = "Healthy"
elseif conditions["Stalled"] ~= nil and conditions["Stalled"].status == "True" then
    hs.status = "Degraded"
elseif ready.reason ~= "Failed" and not on_its_way[ready.reason] then
    -- One that failed and is not stalled is tried again.
    hs.status = "Degraded"
end
return hs
