{{- define "artifacts.name" -}}
{{- if contains "artifacts" .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-artifacts" .Release.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "artifacts.labels" -}}
app.kubernetes.io/name: artifacts
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "artifacts.chart-labels" -}}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{/* The configuration of every node. @POD@ and @ADDRESS@ are each pod's own, and put in when it starts. */}}
{{- define "artifacts.config" -}}
{{- $name := include "artifacts.name" . }}
{{- $host := printf "@POD@.%s-nodes.%s.svc" $name .Release.Namespace }}
{{- $seeds := list }}
{{- range $number := until (int .Values.replicas) }}
{{- $seeds = append $seeds (printf "%s-%d.%s-nodes.%s.svc:7701" $name $number $name $.Release.Namespace) }}
{{- end }}
{{- $s3 := dict "bucket" .Values.s3.bucket "prefix" .Values.s3.prefix "path_style" .Values.s3.pathStyle }}
{{- if .Values.s3.region }}{{ $_ := set $s3 "region" .Values.s3.region }}{{ end }}
{{- if .Values.s3.endpoint }}{{ $_ := set $s3 "endpoint" .Values.s3.endpoint }}{{ end }}
{{- $ring := dict "name" .Values.ring.name "node" "@POD@" "listen" "0.0.0.0:7701" "advertise" "@ADDRESS@:7701" "seeds" $seeds "key_file" "/run/ring/ring-keys" }}
{{- $urls := list (printf "http://%s:7700" $host) }}
{{- if .Values.publicUrl }}{{ $urls = list .Values.publicUrl }}{{ end }}
{{- $ours := dict "data" "/var/lib/artifacts" "listen" "0.0.0.0:7700" "region" .Values.region "store" "slate" "public_urls" $urls "blobs" (dict "s3" $s3) "ring" $ring }}
{{- if .Values.telemetry.endpoint }}{{ $_ := set $ours "traces" (dict "endpoint" .Values.telemetry.endpoint "ratio" .Values.telemetry.ratio) }}{{ end }}
{{- mustMergeOverwrite $ours (deepCopy .Values.config) | toPrettyJson }}
{{- end }}

{{/* What a container that needs nothing of the machine may do. */}}
{{- define "artifacts.locked-down" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: ["ALL"]
{{- end }}
