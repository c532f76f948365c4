{{- define "ferry.labels" -}}
app.kubernetes.io/name: {{ . }}
app.kubernetes.io/part-of: ferry
{{- end }}

{{- define "ferry.meta" -}}
name: {{ .name }}
{{- with .namespace }}
namespace: {{ . }}
{{- end }}
labels: {{- include "ferry.labels" .name | nindent 2 }}
{{- end }}

{{- define "ferry.registry" -}}
{{- with .Values.images.registry }}{{ trimSuffix "/" . }}/{{ end }}
{{- end }}

{{- define "ferry.agentImage" -}}
{{ include "ferry.registry" . }}{{ .Values.images.agent }}:{{ .Values.images.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "ferry.runnerImage" -}}
{{ include "ferry.registry" . }}{{ .Values.images.runner }}:{{ .Values.images.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "ferry.builderImage" -}}
{{ include "ferry.registry" . }}{{ .Values.images.builder }}:{{ .Values.images.tag | default .Chart.AppVersion }}
{{- end }}

{{/* Ferry's own namespaces of work, and those of computes. */}}
{{- define "ferry.workNamespaces" -}}
{{- $ours := list .Values.environments.namespace }}
{{- if .Values.builds.registry }}
{{- if or (has .Values.builds.namespace .Values.namespaces) (eq .Values.builds.namespace .Values.environments.namespace) }}
{{- fail "builds.namespace must be one of their own: its pods have more rights, and the registry's password lies there" }}
{{- end }}
{{- $ours = append $ours .Values.builds.namespace }}
{{- end }}
{{- $named := .Values.namespaces }}
{{- range $name := $ours }}{{ $named = without $named $name }}{{ end }}
{{- concat $ours $named | join "," }}
{{- end }}

{{/* Settings of the section site that may hold a password; compile/install/values.py names the same. */}}
{{- define "ferry.secretSettings" -}}
package_index proxy
{{- end }}

{{/* A setting as it stands in the environment. */}}
{{- define "ferry.text" -}}
{{- if kindIs "string" . }}{{ . }}{{ else }}{{ toJson . }}{{ end }}
{{- end }}

{{- define "ferry.settingsSum" -}}
{{- $told := list }}
{{- range $name := splitList " " (include "ferry.secretSettings" .) }}
{{- $told = append $told (include "ferry.text" (get $.Values.site $name | default "")) }}
{{- end }}
{{- append $told .Values.ca.pem | join "\n" | sha256sum }}
{{- end }}

{{- define "ferry.environment" -}}
{{- $said := dict
  "FERRY_SITE_BACKEND" "kubernetes"
  "FERRY_SITE_CONNECT" (toJson .Values.connect.enabled)
  "FERRY_SITE_STATE_DIR" "/tmp/ferry"
  "FERRY_CLUSTER_SYSTEM_NAMESPACE" .Release.Namespace
  "FERRY_CLUSTER_ENVIRONMENTS_NAMESPACE" .Values.environments.namespace
  "FERRY_CLUSTER_NAMESPACES" (ternary "" (join "," .Values.namespaces) .Values.clusterWide)
  "FERRY_CLUSTER_RUNNER_IMAGE" (include "ferry.runnerImage" .)
  "FERRY_CLUSTER_IMAGE_PULL_POLICY" .Values.images.pullPolicy
  "FERRY_CLUSTER_STATE_DIR" "/var/lib/ferry"
  "FERRY_CLUSTER_INFERENCE" (toJson .Values.inference.enabled)
  "FERRY_LOG_LEVEL" .Values.logLevel }}
{{- if or .Values.ca.pem .Values.ca.configMap }}
{{- $_ := set $said "FERRY_SITE_CA_BUNDLE" "/etc/ferry/ca/ca.pem" }}
{{- if .Values.ca.packages }}{{- $_ := set $said "FERRY_CLUSTER_PACKAGE_CA" "/etc/ferry/ca/ca.pem" }}{{ end }}
{{- if and .Values.ca.builds .Values.builds.registry }}{{- $_ := set $said "FERRY_CLUSTER_BUILD_CA" "/etc/ferry/ca/ca.pem" }}{{ end }}
{{- end }}
{{- if .Values.builds.registry }}
{{- $said = merge $said (dict
  "FERRY_CLUSTER_BUILDS_NAMESPACE" .Values.builds.namespace
  "FERRY_CLUSTER_BUILDER_IMAGE" (include "ferry.builderImage" .)
  "FERRY_CLUSTER_BUILD_REGISTRY" .Values.builds.registry
  "FERRY_CLUSTER_BUILD_SECRET" .Values.builds.secret
  "FERRY_CLUSTER_BUILD_INSECURE" (toJson .Values.builds.insecure)
  "FERRY_CLUSTER_BUILD_PROXY" .Values.builds.proxy
  "FERRY_CLUSTER_BUILD_USER_NAMESPACES" (toJson .Values.builds.userNamespaces)) }}
{{- end }}
{{- with .Values.workloads.nodeSelector }}{{- $_ := set $said "FERRY_CLUSTER_WORKLOAD_NODE_SELECTOR_JSON" (toRawJson .) }}{{ end }}
{{- with .Values.workloads.tolerations }}{{- $_ := set $said "FERRY_CLUSTER_WORKLOAD_TOLERATIONS_JSON" (toRawJson .) }}{{ end }}
{{- with .Values.workloads.imageAliases }}{{- $_ := set $said "FERRY_CLUSTER_IMAGE_ALIASES_JSON" (toRawJson .) }}{{ end }}
{{- range $name, $value := .Values.cluster }}
{{- $key := printf "FERRY_CLUSTER_%s" (upper $name) }}
{{- if not (hasKey $said $key) }}{{- $_ := set $said $key (include "ferry.text" $value) }}{{ end }}
{{- end }}
{{- $secret := splitList " " (include "ferry.secretSettings" .) }}
{{- range $name, $value := .Values.site }}
{{- $key := printf "FERRY_SITE_%s" (upper $name) }}
{{- if and (not (has $name $secret)) (not (hasKey $said $key)) }}{{- $_ := set $said $key (include "ferry.text" $value) }}{{ end }}
{{- end }}
{{- range $key := keys $said | sortAlpha }}
- name: {{ $key }}
  value: {{ get $said $key | quote }}
{{- end }}
- name: POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- name: POD_NAMESPACE
  valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
{{- end }}

{{/* At the Restricted Pod Security level, and read-only beside. */}}
{{- define "ferry.restricted" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "ferry.podSecurity" -}}
runAsNonRoot: true
{{- with .Values.userId }}
runAsUser: {{ . }}
fsGroup: {{ . }}
fsGroupChangePolicy: OnRootMismatch
{{- end }}
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{/* How long a pod that may be there twice is left on a node that fell silent; the lists of both compilers agree. */}}
{{- define "ferry.untilLost" -}}
{{- $given := list }}
{{- range .Values.tolerations }}{{ if eq (.effect | default "") "NoExecute" }}{{ $given = append $given (.key | default "") }}{{ end }}{{ end }}
{{- range $key := list "node.kubernetes.io/not-ready" "node.kubernetes.io/unreachable" }}
{{- if not (has $key $given) }}
- {key: {{ $key }}, operator: Exists, effect: NoExecute, tolerationSeconds: {{ $.Values.cluster.serving_node_lost_s | default 30 }}}
{{- end }}
{{- end }}
{{- end }}

{{/* Where a pod of Ferry's own runs, and as whom; `replaced`: a second one may begin before a lost one has ended. */}}
{{- define "ferry.podPlace" -}}
{{- $replaced := .replaced }}
{{- with .root -}}
enableServiceLinks: false
securityContext: {{- include "ferry.podSecurity" . | nindent 2 }}
tolerations:
  - {key: ml.azure.com/amlarc, operator: Equal, value: "true"}
  - {key: ml.azure.com/amlarc-system, operator: Equal, value: "true"}
{{- with .Values.tolerations }}
{{ toYaml . | indent 2 }}
{{- end }}
{{- if $replaced }}
{{- include "ferry.untilLost" . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClass }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.images.pullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "ferry.caVolume" -}}
{{- if .Values.ca.pem }}
- {name: ca, configMap: {name: ferry-ca, items: [{key: ca.pem, path: ca.pem}]}}
{{- else if .Values.ca.configMap }}
- {name: ca, configMap: {name: {{ .Values.ca.configMap }}, items: [{key: {{ .Values.ca.key }}, path: ca.pem}]}}
{{- end }}
{{- end }}

{{- define "ferry.caMount" -}}
{{- if or .Values.ca.pem .Values.ca.configMap }}
- {name: ca, mountPath: /etc/ferry/ca, readOnly: true}
{{- end }}
{{- end }}

{{- define "ferry.probes" -}}
startupProbe:
  httpGet: {path: /healthz, port: {{ .port }}, scheme: {{ .scheme }}}
  timeoutSeconds: 5
  periodSeconds: 2
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /healthz, port: {{ .port }}, scheme: {{ .scheme }}}
  timeoutSeconds: 5
  periodSeconds: 20
  failureThreshold: 4
readinessProbe:
  httpGet: {path: {{ .ready }}, port: {{ .port }}, scheme: {{ .scheme }}}
  timeoutSeconds: 5
  periodSeconds: 5
  failureThreshold: 2
{{- end }}
