local status = obj.status or {}
local lifecycle = obj.spec.lifecycle or {}

local expired = false
for _, condition in ipairs(status.conditions or {}) do
    if condition.type == "Ready" and condition.reason == "Expired" then
        expired = true
    end
end

local told_to_sleep = lifecycle.state == "Sleeping"
local asleep = told_to_sleep or status.asleep ~= nil
local workspace = (status.effective or {}).workspace or {}

local actions = {}
actions["sleep"] = {
    ["iconClass"] = "fa fa-fw fa-moon",
    ["displayName"] = "Put to sleep",
    ["disabled"] = expired or told_to_sleep
}
actions["wake"] = {
    ["iconClass"] = "fa fa-fw fa-sun",
    ["displayName"] = "Wake",
    ["disabled"] = expired or not asleep
}
actions["restart"] = {
    ["iconClass"] = "fa fa-fw fa-redo",
    ["displayName"] = "Restart",
    ["disabled"] = expired or asleep
}
-- Only what is on a volume can be copied.
actions["snapshot"] = {
    ["iconClass"] = "fa fa-fw fa-camera",
    ["displayName"] = "Take a snapshot",
    ["disabled"] = expired or workspace.type ~= "Persistent"
}
return actions
