{{- /* Names and labels: those of Fluent Bit's chart, so that a release of it can go on as one of this. */ -}}

{{- define "tailwater.name" -}}
{{ .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "tailwater.fullname" -}}
{{- $name := .Values.nameOverride | default .Chart.Name -}}
{{- $whole := .Release.Name -}}
{{- if not (contains $name .Release.Name) }}{{ $whole = printf "%s-%s" .Release.Name $name }}{{ end -}}
{{ .Values.fullnameOverride | default $whole | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "tailwater.selector" -}}
app.kubernetes.io/name: {{ include "tailwater.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "tailwater.labels" -}}
{{ include "tailwater.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "tailwater.account" -}}
{{- $unnamed := ternary (include "tailwater.fullname" .) "default" .Values.serviceAccount.create -}}
{{ .Values.serviceAccount.name | default $unnamed }}
{{- end }}

{{- define "tailwater.scc" -}}
{{- with .Values.openShift.securityContextConstraints -}}
{{ ternary (.name | default (include "tailwater.fullname" $)) .existingName .create }}
{{- end }}
{{- end }}

{{- define "tailwater.image" -}}
{{- $tag := toString (.Values.image.tag | default .Chart.AppVersion) -}}
{{- .Values.image.repository -}}
{{- if ne $tag "-" }}:{{ $tag }}{{ end -}}
{{- with .Values.image.digest }}@{{ . }}{{ end -}}
{{- end }}

{{- /* A value that is YAML, or text that becomes YAML. */ -}}
{{- define "tailwater.either" -}}
{{- if kindIs "string" .value }}{{ tpl .value .root }}{{ else }}{{ toYaml .value }}{{ end -}}
{{- end }}
