{{/*
The alerts, as the groups of a PrometheusRule. docs/runbook.md has a section on each. How long one has to last ("for") says
after what time the trouble is none that passes by itself: a rollout, a lost node, or a Lease that has to run out.
None of them names a job: whoever scrapes, and by whatever name, is served. Rates are over ten minutes, twenty scrapes.
*/}}
{{- define "sandkeeper.alerts" -}}
- name: sandkeeper.operator
  rules:
    - alert: SandkeeperOperatorDown
      expr: absent(sandkeeper_shards_held)
      # A rollout of a single replica on a cold node pulls its image first.
      for: 5m
      labels: {severity: critical}
      annotations:
        summary: "No replica of the operator tells any metrics."
        description: "Sandboxes that run go on, but none starts, sleeps, wakes or ends. Or nobody scrapes the operator any more."
    - alert: SandkeeperShardsNotHeld
      expr: sum(sandkeeper_shards_held) < max(sandkeeper_shards)
      # Leases of a replica that died run out within a minute at the longest leaseSeconds that are usual.
      for: 5m
      labels: {severity: critical}
      annotations:
        summary: "Nobody works on a part of the namespaces."
        description: "Only {{`{{ $value }}`}} shards are held. In the namespaces of the others nothing starts, sleeps, wakes or ends."
    - alert: SandkeeperWatchStale
      # As /readyz judges: three bookmarks of the apiserver, which come once a minute, did not.
      expr: sandkeeper_watch_age_seconds > 180
      for: 5m
      labels: {severity: warning}
      annotations:
        summary: "A watch of {{`{{ $labels.resource }}`}} is silent."
        description: "{{`{{ $labels.pod }} has not heard of {{ $labels.resource }} for {{ $value | humanizeDuration }}`}}, and acts on what it knew."
    - alert: SandkeeperApiserverFailing
      # 403 and 409 are answers as well: of quotas and admission, and to writes that others were faster with.
      expr: |-
        1 - (sum(rate(sandkeeper_api_request_seconds_count{code!~"0|401|429|5.."}[10m])) or vector(0))
          / sum(rate(sandkeeper_api_request_seconds_count[10m])) > 0.05
      # A restart of a single apiserver, as kubeadm's upgrade does it, takes less.
      for: 10m
      labels: {severity: warning}
      annotations:
        summary: "The apiserver refuses or does not answer."
        description: "{{`{{ $value | humanizePercentage }}`}} of the calls of operator and gateway got no answer, or one of 401, 429 and 5xx."
    - alert: SandkeeperPassesFail
      expr: |-
        sum by (kind) (rate(sandkeeper_pass_seconds_count{result="error"}[10m]))
          / sum by (kind) (rate(sandkeeper_pass_seconds_count[10m])) > 0.1
      # Those that fail try again after up to a minute: one bad write is over by then.
      for: 15m
      labels: {severity: warning}
      annotations:
        summary: "Passes over kind {{`{{ $labels.kind }}`}} fail."
        description: "{{`{{ $value | humanizePercentage }} of the passes over kind {{ $labels.kind }}`}} end with an error and are tried again."
    - alert: SandkeeperDefect
      expr: sum by (kind) (increase(sandkeeper_pass_seconds_count{result="defect"}[1h])) > 0
      labels: {severity: warning}
      annotations:
        summary: "The operator met what it was not made for."
        description: "A pass over kind {{`{{ $labels.kind }}`}} ended with a defect. Its trace is in the operator's log and worth a bug report."
    - alert: SandkeeperQueueNotDrained
      expr: min_over_time(sandkeeper_queue_depth[10m]) > 0
      # With the ten minutes that it looks back: a replica that takes over everything works through 10,000 sandboxes in less.
      for: 5m
      labels: {severity: warning}
      annotations:
        summary: "A queue of the operator has not been empty for ten minutes."
        description: "In {{`{{ $labels.pod }} at least {{ $value }} keys of kind {{ $labels.kind }}`}} waited at any moment."
    - alert: SandkeeperQueueSlow
      expr: histogram_quantile(0.95, sum by (kind, le) (rate(sandkeeper_queue_wait_seconds_bucket[10m]))) > 10
      # A burst of 1,000 sandboxes is through in ten seconds.
      for: 10m
      labels: {severity: warning}
      annotations:
        summary: "Sandboxes wait for the operator."
        description: "One in twenty keys of kind {{`{{ $labels.kind }} waits longer than {{ $value | humanizeDuration }}`}} for its pass."
    - alert: SandkeeperEventLoopLag
      expr: avg_over_time(sandkeeper_event_loop_lag_seconds[10m]) > 0.5
      for: 5m
      labels: {severity: warning}
      annotations:
        summary: "A process has too little CPU."
        description: "{{`{{ $labels.pod }} does what is due {{ $value | humanizeDuration }}`}} late. Leases and idle times suffer next."
    - alert: SandkeeperEventsDropped
      expr: increase(sandkeeper_events_dropped_total[15m]) > 0
      labels: {severity: info}
      annotations:
        summary: "Events were not written."
        description: "{{`{{ $labels.pod }}`}} dropped Events because too many were waiting. Conditions of sandboxes are right all the same."
{{- if .Values.canary.enabled }}
- name: sandkeeper.fence
  rules:
    - alert: SandkeeperEgressNotEnforced
      # No "for": it is proof. Whoever got out got out.
      expr: min(sandkeeper_egress_enforced) == 0
      labels: {severity: critical}
      annotations:
        summary: "Sandboxes are not walled off."
        description: "A canary got through its fence. Sandboxes that run may reach what they should not{{ if .Values.requireEnforcement }}, and no other one starts{{ end }}."
    - alert: SandkeeperEgressUnknown
      # NaN, and nothing else, is not equal to itself.
      expr: max(sandkeeper_egress_enforced) != max(sandkeeper_egress_enforced)
      # A first canary takes half a minute, and is followed by another after 15 s, 30 s, ...
      for: 10m
      labels: {severity: {{ ternary "critical" "warning" .Values.requireEnforcement }}}
      annotations:
        summary: "Nobody knows whether sandboxes are walled off."
        description: "No canary that proves anything ended within two intervals{{ if .Values.requireEnforcement }}, so no sandbox starts{{ end }}."
    - alert: SandkeeperCanaryOld
      # Half an interval before its result counts no more, and sandboxes stop to start.
      expr: time() - max(sandkeeper_canary_last_run_timestamp_seconds) > {{ mulf 1.5 .Values.canary.intervalSeconds }}
      for: 5m
      labels: {severity: warning}
      annotations:
        summary: "The canary does not run."
        description: "The last one ended {{`{{ $value | humanizeDuration }}`}} ago. After two intervals its result counts no more."
    - alert: SandkeeperCanaryBroken
      # Three in half an hour are not one pod that had bad luck; the tries after it come after 15 s, 30 s, ...
      expr: sum(increase(sandkeeper_canary_runs_total{result="CanaryBroken"}[30m])) > 2
      labels: {severity: warning}
      annotations:
        summary: "Canaries prove nothing."
        description: "Several ended broken within half an hour. A proof that still counts goes on to count, for two intervals."
{{- end }}
- name: sandkeeper.sandboxes
  rules:
    - alert: SandkeeperSandboxesBlocked
      expr: max by (reason) (sandkeeper_sandboxes{reason=~"{{ include "sandkeeper.blockedReasons" . }}"}) > 0
      # An autoscaler brings a node, and a driver a volume, in less.
      for: 15m
      labels: {severity: warning}
      annotations:
        summary: "Sandboxes are {{`{{ $labels.reason }}`}}."
        description: "{{`{{ $value }} of all sandboxes are {{ $labels.reason }}`}}, which their users can not mend."
    - alert: SandkeeperSandboxesFailing
      # One user's mistake is no alert; that of a tenth of all, and of six at least, is a registry, an image or a quota.
      expr: |-
        max by (reason) (sandkeeper_sandboxes{reason=~"{{ include "sandkeeper.failedReasons" . }}"}) > 5
          and max by (reason) (sandkeeper_sandboxes)
            / scalar(sum(max by (reason) (sandkeeper_sandboxes))) > 0.1
      for: 15m
      labels: {severity: warning}
      annotations:
        summary: "Many sandboxes are {{`{{ $labels.reason }}`}}."
        description: "{{`{{ $value }} of all sandboxes are {{ $labels.reason }}`}}, more than a tenth."
    - alert: SandkeeperStartsSlow
      expr: |-
        histogram_quantile(0.9, sum by (le) (rate(sandkeeper_sandbox_start_seconds_bucket[15m])))
          > {{ .Values.metrics.prometheusRule.slowStartSeconds }}
      for: 15m
      labels: {severity: warning}
      annotations:
        summary: "Sandboxes start slowly."
        description: "One in ten takes longer than {{`{{ $value | humanizeDuration }}`}} from its creation until it runs."
{{- if .Values.idle.enabled }}
    - alert: SandkeeperSandboxesNotMeasured
      expr: sum(sandkeeper_usage_nodes{measured="no"}) > 0
      # Five looks at a node; one that comes or goes is missed by one or two.
      for: 15m
      labels: {severity: warning}
      annotations:
        summary: "Sandboxes never fall asleep."
        description: "On {{`{{ $value }}`}} nodes nobody tells how busy sandboxes are, so none of them is ever idle."
{{- if .Values.gateway.enabled }}
    - alert: SandkeeperTrafficNotMeasured
      expr: max(sandkeeper_usage_gateways{answered="no"}) > 0
      for: 15m
      labels: {severity: warning}
      annotations:
        summary: "A gateway does not tell which sandboxes have traffic."
        description: "{{`{{ $value }}`}} pods of the gateway do not tell the operator which sandboxes have traffic."
{{- end }}
{{- end }}
- name: sandkeeper.copies
  rules:
    - alert: SandkeeperPacksFail
      # Too much, or a full volume, is the user's, and its sandbox says so; these two are the node's.
      expr: sum by (result) (increase(sandkeeper_pack_seconds_count{result=~"Failed|Unreachable"}[30m])) > 3
      labels: {severity: warning}
      annotations:
        summary: "Sandboxes can not be packed."
        description: "Packs ended {{`{{ $labels.result }}`}} several times within half an hour. Their sandboxes stay awake."
    - alert: SandkeeperSnapshotsFail
      expr: |-
        sum(increase(sandkeeper_snapshot_seconds_count{result!="Ready"}[1h]))
          / sum(increase(sandkeeper_snapshot_seconds_count[1h])) > 0.1
      # Those that are tried again get two more tries.
      for: 5m
      labels: {severity: warning}
      annotations:
        summary: "Snapshots fail."
        description: "{{`{{ $value | humanizePercentage }}`}} of the snapshots of the last hour could not be taken."
{{- if .Values.gateway.enabled }}
- name: sandkeeper.gateway
  rules:
    - alert: SandkeeperGatewayDown
      expr: absent(sandkeeper_gateway_workers > 0)
      # What sandboxes do is cut already; a rollout keeps a replica up.
      for: 2m
      labels: {severity: critical}
      annotations:
        summary: "No egress gateway takes connections."
        description: "Sandboxes reach none of the domains that they are allowed. Or nobody scrapes the gateway any more."
    - alert: SandkeeperGatewayLimits
      expr: |-
        sum by (reason) (rate(sandkeeper_gateway_connections_total{reason=~"too-many-connections|too-many-new-connections"}[10m]))
          > 1
      for: 5m
      labels: {severity: warning}
      annotations:
        summary: "The gateway refuses connections by its limits."
        description: "{{`{{ $value | humanize }} connections a second are refused as {{ $labels.reason }}`}}."
    - alert: SandkeeperGatewayUpstreamFailing
      expr: |-
        sum(rate(sandkeeper_gateway_connections_total{verdict="denied", reason=~"upstream-unreachable|timeout"}[10m]))
          / sum(rate(sandkeeper_gateway_connections_total{kind!="dns", reason=~"|upstream-unreachable|timeout|unresolvable"}[10m]))
          > 0.25
      for: 10m
      labels: {severity: warning}
      annotations:
        summary: "Allowed sites do not answer the gateway."
        description: "{{`{{ $value | humanizePercentage }}`}} of the connections that were allowed found nobody who answers."
    - alert: SandkeeperGatewayResolutionFailing
      expr: |-
        sum(rate(sandkeeper_gateway_connections_total{verdict="denied", reason="unresolvable"}[10m]))
          / sum(rate(sandkeeper_gateway_connections_total{kind!="dns", reason=~"|upstream-unreachable|timeout|unresolvable"}[10m]))
          > 0.1
      for: 10m
      labels: {severity: warning}
      annotations:
        summary: "The gateway finds no addresses for allowed names."
        description: "{{`{{ $value | humanizePercentage }}`}} of the connections that were allowed failed because the name has no address."
    - alert: SandkeeperGatewayPolicyLate
      expr: histogram_quantile(0.99, sum by (le) (rate(sandkeeper_gateway_policy_lag_seconds_bucket[10m]))) > 1
      for: 10m
      labels: {severity: warning}
      annotations:
        summary: "Changes of egress come into force late."
        description: "One change in a hundred takes longer than {{`{{ $value | humanizeDuration }}`}} until the gateway judges by it."
    - alert: SandkeeperGatewayAuditLost
      # No "for": what is lost is lost.
      expr: increase(sandkeeper_gateway_audit_dropped_total[15m]) > 0
      labels: {severity: warning}
      annotations:
        summary: "Records of connections were lost."
        description: "{{`{{ $labels.pod }} lost {{ $value | humanize }}`}} audit records because nobody took them fast enough."
{{- end }}
{{- end }}

{{/* Reasons of Ready that a platform team mends: the cluster, its nodes, classes, plugins, and this installation. */}}
{{- define "sandkeeper.blockedReasons" -}}
NotEnforced|Unverified|CanaryBroken|EgressUnavailable|NoUserNamespace|RuntimeClassNotFound|NoStorageClass|StorageClassNotFound|VolumePending|VolumeMountFailed|VolumeLost|NodeLost|Unschedulable|Conflict
{{- end }}

{{/* Reasons that a sandbox's own user has brought about, or somebody who broke what many use. */}}
{{- define "sandkeeper.failedReasons" -}}
ImagePullFailed|CrashLooping|OOMKilled|SetupFailed|GitFailed|PackFailed|SecretMissing|ConfigMissing|TemplateNotFound|PolicyDenied|QuotaExceeded|Widened|Evicted|Failed|WorkspaceLost|WorkspaceDeleting|SnapshotNotFound|SnapshotNotReady|SandboxNotFound|WorkspaceNotPersistent|ClaimNotFound|SizeTooSmall|StorageClassMismatch|CapturedUnreadable
{{- end }}
