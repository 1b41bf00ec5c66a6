{{- /* What a DaemonSet and a Deployment have in common: the pod. */ -}}

{{- define "tailwater.template" -}}
metadata:
  labels:
    {{- include "tailwater.selector" . | nindent 4 }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    # A changed configuration rolls out like a changed image.
    checksum/config: {{ include (print .Template.BasePath "/config-map.yaml") . | sha256sum }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "tailwater.account" . }}
  {{- if not (kindIs "invalid" .Values.serviceAccount.automountServiceAccountToken) }}
  automountServiceAccountToken: {{ .Values.serviceAccount.automountServiceAccountToken }}
  {{- end }}
  hostNetwork: {{ .Values.hostNetwork }}
  dnsPolicy: {{ .Values.dnsPolicy }}
  {{- with .Values.terminationGracePeriodSeconds }}
  terminationGracePeriodSeconds: {{ . }}
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with .Values.podSecurityContext }}
  securityContext:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- range $key := list "imagePullSecrets" "dnsConfig" "hostAliases" "nodeSelector" "affinity" "tolerations" }}
  {{- with get $.Values $key }}
  {{ $key }}:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- end }}
  {{- with .Values.initContainers }}
  initContainers:
    {{- include "tailwater.either" (dict "value" . "root" $) | nindent 4 }}
  {{- end }}
  containers:
    - name: {{ .Chart.Name }}
      {{- include "tailwater.container" . | nindent 6 }}
    {{- with .Values.extraContainers }}
    {{- include "tailwater.either" (dict "value" . "root" $) | nindent 4 }}
    {{- end }}
  volumes:
    - name: config
      configMap:
        name: {{ .Values.existingConfigMap | default (include "tailwater.fullname" .) }}
    {{- if eq .Values.kind "DaemonSet" }}
    {{- with .Values.stateHostPath }}
    - name: state
      hostPath:
        path: {{ . }}
        type: DirectoryOrCreate
    {{- end }}
    {{- with .Values.daemonSetVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    {{- else if .Values.stateHostPath }}
    # Pods of a Deployment have no node of their own.
    - name: state
      emptyDir: {}
    {{- end }}
    {{- with .Values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}

{{- define "tailwater.container" -}}
image: {{ include "tailwater.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- range $key := list "command" "args" "envFrom" "lifecycle" "livenessProbe" "readinessProbe" "resources" "securityContext" }}
{{- with get $.Values $key }}
{{ $key }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
env:
  {{- include "tailwater.env" . | nindent 2 }}
ports:
  - name: http
    containerPort: {{ .Values.metricsPort }}
  {{- range .Values.extraPorts }}
  - name: {{ .name }}
    containerPort: {{ .containerPort }}
    protocol: {{ .protocol | default "TCP" }}
  {{- end }}
volumeMounts:
  - name: config
    mountPath: /fluent-bit/etc/conf
    readOnly: true
  {{- with .Values.stateHostPath }}
  - name: state
    mountPath: {{ . }}
  {{- end }}
  {{- if eq .Values.kind "DaemonSet" }}
  {{- with .Values.daemonSetVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- end }}
  {{- with .Values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{- define "tailwater.env" -}}
{{- $env := .Values.env | default list }}
{{- range .Values.envWithTpl }}
{{- $env = append $env (dict "name" .name "value" (tpl .value $)) }}
{{- end }}
{{- $named := list }}
{{- range $env }}{{ $named = append $named .name }}{{ end }}
{{- if not (has "NODE_NAME" $named) }}
{{- $field := dict "fieldRef" (dict "fieldPath" "spec.nodeName") }}
{{- $env = prepend $env (dict "name" "NODE_NAME" "valueFrom" $field) }}
{{- end }}
{{- toYaml $env }}
{{- end }}
