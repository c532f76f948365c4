{{- define "ferry.routerImage" -}}
{{ include "ferry.registry" . }}{{ .Values.images.router }}:{{ .Values.images.tag | default .Chart.AppVersion }}
{{- end }}

{{/* The Secret with the certificate; empty: plain HTTP. */}}
{{- define "ferry.routerTls" -}}
{{- with .Values.inference.tls }}{{ .secret | default (ternary "ferry-router-tls" "" (ne .certificate "")) }}{{ end }}
{{- end }}

{{- define "ferry.routerKeep" -}}
- sh
- -c
- >-
  trap "over=1; kill -TERM \$child 2>/dev/null" TERM;
  until [ "$over" ]; do ferry router {{ . }} & child=$!; [ -z "$over" ] || kill -TERM $child;
  wait $child; [ "$over" ] || sleep 0.5; done; wait
{{- end }}

{{- define "ferry.routerEnvironment" -}}
{{- $inference := .Values.inference }}
{{- $tls := include "ferry.routerTls" . }}
{{- $said := dict
  "FERRY_ROUTER_IN_CLUSTER" "true"
  "FERRY_ROUTER_FOLDER" "/run/ferry-router"
  "FERRY_ROUTER_BIND" "0.0.0.0:8080"
  "FERRY_ROUTER_DOOR_BIND" "0.0.0.0:9402"
  "FERRY_ROUTER_METRICS_BIND" "0.0.0.0:9403"
  "FERRY_ROUTER_PEER_BIND" (ternary "0.0.0.0:9401" "" (gt (int $inference.router.replicas) 1))
  "FERRY_ROUTER_TLS_SECRET" $tls
  "FERRY_ROUTER_CERTIFICATE_NAME" (ternary $inference.tls.cname "" (ne $tls ""))
  "FERRY_ROUTER_ALLOW_INSECURE" (toJson $inference.allowInsecureConnections)
  "FERRY_ROUTER_CORS_ORIGINS" (join " " $inference.corsOrigins)
  "FERRY_ROUTER_COLLECT_URL" (printf "https://ferry-gateway.%s.svc:8443" .Release.Namespace)
  "FERRY_ROUTER_COLLECT_CA_FILE" "/var/run/ferry/gateway/ca.pem"
  "FERRY_ROUTER_COLLECT_TOKEN_FILE" "/var/run/ferry/gateway/token"
  "FERRY_CLUSTER_SYSTEM_NAMESPACE" .Release.Namespace
  "FERRY_CLUSTER_NAMESPACES" (ternary "" (join "," .Values.namespaces) .Values.clusterWide)
  "FERRY_LOG_LEVEL" .Values.logLevel }}
{{- range $name, $value := .Values.router }}
{{- $key := printf "FERRY_ROUTER_%s" (upper $name) }}
{{- if not (hasKey $said $key) }}{{- $_ := set $said $key (include "ferry.text" $value) }}{{ end }}
{{- end }}
{{- range $key := keys $said | sortAlpha }}
- name: {{ $key }}
  value: {{ get $said $key | quote }}
{{- end }}
- name: POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
{{- end }}
