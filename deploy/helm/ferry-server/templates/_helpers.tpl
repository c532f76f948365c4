{{- define "ferry.labels" -}}
app.kubernetes.io/name: ferry-server
app.kubernetes.io/part-of: ferry
{{- end }}

{{- define "ferry.meta" -}}
name: {{ .name }}
namespace: {{ .root.Release.Namespace }}
labels: {{- include "ferry.labels" . | nindent 2 }}
{{- end }}

{{- define "ferry.image" -}}
{{- with .Values.image }}{{ with .registry }}{{ trimSuffix "/" . }}/{{ end }}{{ .name }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}

{{/* Settings of the section server that may hold a password; compile/install/server_values.py names the same. */}}
{{- define "ferry.secretSettings" -}}
artifacts_url database_url mlflow_database_url
{{- end }}

{{/* A setting as it stands in the environment. */}}
{{- define "ferry.text" -}}
{{- if kindIs "string" . }}{{ . }}{{ else }}{{ toJson . }}{{ end }}
{{- end }}

{{- define "ferry.secretValues" -}}
{{- $said := dict }}
{{- range $name := splitList " " (include "ferry.secretSettings" .) }}
{{- with get $.Values.server $name }}{{- $_ := set $said (printf "FERRY_SERVER_%s" (upper $name)) (b64enc .) }}{{ end }}
{{- end }}
{{- toYaml $said }}
{{- end }}

{{/* Refuses what cannot work, before anything is made. */}}
{{- define "ferry.check" -}}
{{- if not (or .Values.tls.secret .Values.ingress.enabled .Values.allowInsecure) }}
{{- fail "tokens would travel in the clear: give tls.secret, enable the ingress, or set allowInsecure=true when something else ends TLS" }}
{{- end }}
{{- if and .Values.ingress.enabled (not .Values.ingress.host) }}{{ fail "ingress.host is needed" }}{{ end }}
{{- if and (eq .Values.state.kind "existing") (not .Values.state.claim) }}{{ fail "state.kind=existing needs state.claim" }}{{ end }}
{{- if gt (int .Values.replicas) 1 }}
{{- if not .Values.keySecret }}{{ fail "several replicas need keySecret: they share the key that signs and seals" }}{{ end }}
{{- if eq .Values.state.kind "claim" }}{{ fail "several replicas cannot share one volume: set state.kind=ephemeral" }}{{ end }}
{{- if not .Values.settingsSecret }}
{{- if not (hasPrefix "postgresql" (.Values.server.database_url | default "")) }}
{{- fail "several replicas need PostgreSQL: set server.database_url, or settingsSecret" }}
{{- end }}
{{- if not (hasPrefix "postgresql" (.Values.server.mlflow_database_url | default "")) }}
{{- fail "several replicas need PostgreSQL for MLflow too: set server.mlflow_database_url, or settingsSecret" }}
{{- end }}
{{- $artifacts := .Values.server.artifacts_url | default "" }}
{{- if or (not $artifacts) (hasPrefix "file:" $artifacts) (hasPrefix "/" $artifacts) }}
{{- fail "several replicas need an object store: set server.artifacts_url to s3://, gs:// or az://, or settingsSecret" }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "ferry.publicUrl" -}}
{{- if .Values.server.public_url }}{{ .Values.server.public_url }}
{{- else if .Values.ingress.enabled }}https://{{ .Values.ingress.host }}
{{- else }}{{ ternary "https" "http" (ne .Values.tls.secret "") }}://ferry-server.{{ .Release.Namespace }}.svc:{{ .Values.service.port }}
{{- end }}
{{- end }}

{{- define "ferry.environment" -}}
{{- $said := dict
  "FERRY_SERVER_HOST" "0.0.0.0"
  "FERRY_SERVER_PORT" "8765"
  "FERRY_SERVER_STATE_DIR" "/var/lib/ferry"
  "FERRY_LOG_LEVEL" .Values.logLevel
  "FERRY_SERVER_REPLICAS" (toString .Values.replicas)
  "FERRY_SERVER_PUBLIC_URL" (include "ferry.publicUrl" .) }}
{{- if .Values.tls.secret }}
{{- $_ := set $said "FERRY_SERVER_TLS_CERT" "/etc/ferry/tls/tls.crt" }}
{{- $_ := set $said "FERRY_SERVER_TLS_KEY" "/etc/ferry/tls/tls.key" }}
{{- else }}
{{- $_ := set $said "FERRY_SERVER_ALLOW_INSECURE" "true" }}
{{- end }}
{{- if .Values.keySecret }}{{- $_ := set $said "FERRY_SERVER_ENCRYPTION_KEY_FILE" "/etc/ferry/key/server.json" }}{{ end }}
{{- $secret := splitList " " (include "ferry.secretSettings" .) }}
{{- range $name, $value := .Values.server }}
{{- $key := printf "FERRY_SERVER_%s" (upper $name) }}
{{- if and (not (has $name $secret)) (not (hasKey $said $key)) }}{{- $_ := set $said $key (include "ferry.text" $value) }}{{ end }}
{{- end }}
{{- range $key := keys $said | sortAlpha }}
- name: {{ $key }}
  value: {{ get $said $key | quote }}
{{- end }}
{{- end }}
