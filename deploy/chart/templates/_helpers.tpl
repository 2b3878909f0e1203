{{- define "fairlead.name" -}}
{{- if contains "fairlead" .Release.Name -}}
{{- .Release.Name | trunc 53 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-fairlead" .Release.Name | trunc 53 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "fairlead.selector" -}}
app.kubernetes.io/name: fairlead
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "fairlead.labels" -}}
{{ include "fairlead.selector" . }}
app.kubernetes.io/component: router
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- /* The router's own configuration: `config`, with what other values decide filled in. */ -}}
{{- define "fairlead.config" -}}
{{- $cluster := dict "user" .Values.monitoring.user "passwordFile" "/etc/fairlead/monitoring/password" -}}
{{- $admin := dict "listen" "0.0.0.0:8404" -}}
{{- $given := deepCopy .Values.config -}}
{{- toYaml (merge $given (dict "cluster" $cluster "admin" $admin)) -}}
{{- end -}}
