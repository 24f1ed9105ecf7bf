-- Sandbox is in kstatus format: observedGeneration, and conditions Ready, Reconciling and Stalled.
-- Ready is True for one that sleeps or has expired by its spec, so that syncs and waits end: Healthy, never Suspended.
-- What each reason means, and what heals it, stands in docs/concepts.md, Conditions.
local hs = {status = "Progressing", message = "Waiting for the operator."}

-- Nobody has to do anything yet: it is on its way, or waits for what a cluster brings by itself, such as a node.
local on_its_way = {
    Pending = true,
    Starting = true,
    Installing = true,
    Packing = true,
    Waking = true,
    Restoring = true,
    RollingBack = true,
    Unverified = true,
    Unschedulable = true,
    VolumePending = true,
    SnapshotNotReady = true,
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
if obj.status.observedGeneration ~= obj.metadata.generation then
    hs.message = "Waiting for the operator to take the changed spec."
    return hs
end

hs.message = ready.reason .. ": " .. ready.message
if ready.status == "True" then
    hs.status = "Healthy"
elseif conditions["Stalled"] ~= nil and conditions["Stalled"].status == "True" then
    hs.status = "Degraded"
elseif not on_its_way[ready.reason] then
    hs.status = "Degraded"
end
return hs
