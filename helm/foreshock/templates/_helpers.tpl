{{- define "foreshock.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains "foreshock" .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-foreshock" .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{- define "foreshock.selector" -}}
app.kubernetes.io/name: foreshock
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "foreshock.labels" -}}
{{ include "foreshock.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- /* The configuration, with what only the release knows filled in. */ -}}
{{- define "foreshock.config" -}}
{{- $config := deepCopy .Values.config -}}
{{- if not $config.kafka.instance -}}
{{- $_ := set $config.kafka "instance" (printf "%s-%s-0" .Release.Namespace (include "foreshock.fullname" .)) -}}
{{- end -}}
{{- if .Values.kafkaPassword.existingSecret -}}
{{- $sasl := dig "kafka" "security" "sasl" nil $config -}}
{{- if not $sasl -}}
{{- fail "kafkaPassword.existingSecret is set, but config.kafka.security.sasl is not: give it mechanism and username" -}}
{{- end -}}
{{- $_ := set $sasl "password_env" .Values.kafkaPassword.env -}}
{{- end -}}
{{- toYaml $config -}}
{{- end }}

{{- /* Controllers are no engines: the engine's Service must not find them. */ -}}
{{- define "foreshock.controller.selector" -}}
app.kubernetes.io/name: foreshock-controller
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .controller.name }}
{{- end }}

{{- define "foreshock.controller.labels" -}}
{{ include "foreshock.controller.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}
