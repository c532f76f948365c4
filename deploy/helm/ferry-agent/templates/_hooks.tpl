{{/* Metadata of an object that lives only while a hook runs. */}}
{{- define "ferry.hookMeta" -}}
{{ include "ferry.meta" . }}
annotations:
  helm.sh/hook: {{ .hook }}
  helm.sh/hook-weight: {{ .weight | default "-5" | quote }}
  helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end }}

{{- define "ferry.hookJob" -}}
apiVersion: batch/v1
kind: Job
metadata: {{- include "ferry.hookMeta" (dict "name" .name "namespace" .root.Release.Namespace "hook" .hook "weight" "0") | nindent 2 }}
spec:
  backoffLimit: 2
  activeDeadlineSeconds: 280
  template:
    metadata:
      labels: {{- include "ferry.labels" .name | nindent 8 }}
    spec:
      serviceAccountName: {{ .account | default .name }}
      restartPolicy: Never
      {{- include "ferry.podPlace" (dict "root" .root) | nindent 6 }}
      containers:
        - name: hook
          image: {{ include "ferry.agentImage" .root }}
          imagePullPolicy: {{ .root.Values.images.pullPolicy }}
          command: {{ toJson .command }}
          resources: {requests: {cpu: 20m, memory: 64Mi}, limits: {cpu: "1", memory: 256Mi}}
          securityContext: {{- include "ferry.restricted" . | nindent 12 }}
          volumeMounts:
            - {name: tmp, mountPath: /tmp}
      volumes:
        - {name: tmp, emptyDir: {}}
{{- end }}
